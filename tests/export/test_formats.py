"""What is exported computes what the network computes, in every format, folded or not, and for every batch size."""

import ast
import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import export

from dnas.export.flax import Images, model_text, weights
from dnas.export.onnx import to_onnx
from dnas.export.program import program
from dnas.export.stablehlo import to_stablehlo
from dnas.types import Workload

NAMES = ("darts-0", "darts-1", "nasbench201", "hypercuboid", "operations")
SIZES = (1, 5)
every = pytest.mark.parametrize("name", NAMES)
both = pytest.mark.parametrize("folded", [True, False])


def like(inputs: np.ndarray) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(inputs.shape, inputs.dtype)


@both
@every
def test_stablehlo(name: str, folded: bool, cases: dict, inputs: np.ndarray) -> None:
    case = cases[name]
    content = to_stablehlo(program(case.network, case.variables, folded=folded).call, like(inputs))
    artefact = export.deserialize(bytearray(content))
    assert {"cpu", "cuda", "tpu"} <= set(artefact.platforms)
    for size in SIZES:
        np.testing.assert_allclose(artefact.call(inputs[:size]), case.expected[:size], atol=1e-4)


def test_stablehlo_has_nothing_of_this_process_inside(cases: dict, inputs: np.ndarray) -> None:
    case = cases["operations"]
    text = export.export(jax.jit(program(case.network, case.variables).call))(like(inputs)).mlir_module()
    assert "stablehlo.convolution" in text
    assert "custom_call" not in text


@both
@every
def test_onnx(name: str, folded: bool, cases: dict, inputs: np.ndarray) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("jax2onnx")
    case = cases[name]
    model = to_onnx(program(case.network, case.variables, folded=folded).call, like(inputs))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for size in SIZES:
        (found,) = session.run(["outputs"], {"inputs": inputs[:size]})
        np.testing.assert_allclose(found, case.expected[:size], atol=1e-4)


def written(case: object, folder: Path, folded: bool, shape: tuple[int, int, int]) -> tuple[Path, dict]:
    """Write `model.py` of a case and return its arrays; its pixels are normalised to themselves."""
    images = Images(shape, (0.0,) * 3, (1 / 255,) * 3, ("a", 'b"', "c\\"))
    source = case.space.python_source(case.genotype, classes=3, **case.settings)  # type: ignore[attr-defined]
    path = folder / "model.py"
    path.write_text(model_text(source, images, "A network.", folded=folded), encoding="utf-8")
    own = program(case.network, case.variables, folded=folded)  # type: ignore[attr-defined]
    return path, weights(path, own.layers(jax.ShapeDtypeStruct((1, *shape), np.float32)), shape)


@both
@every
def test_flax(
    name: str, folded: bool, cases: dict, inputs: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    case = cases[name]
    path, arrays = written(case, tmp_path, folded, inputs.shape[1:])
    numpy.save_file(arrays, tmp_path / "weights.safetensors")
    spec = importlib.util.spec_from_file_location("written_model", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "written_model", module)
    spec.loader.exec_module(module)
    assert module.CLASSES == ("a", 'b"', "c\\")
    call = jax.jit(module.Network().apply)
    for size in SIZES:
        found = call(module.load(str(tmp_path / "weights.safetensors")), inputs[:size])
        np.testing.assert_allclose(found, case.expected[:size], atol=1e-4)


@every
def test_a_written_network_has_the_parameters_of_the_trained_one(name: str, cases: dict, tmp_path: Path) -> None:
    case, shape = cases[name], (16, 16, 3)
    _, arrays = written(case, tmp_path, False, shape)
    own: Workload = case.network.workload(shape)
    assert sum(array.size for path, array in arrays.items() if path.startswith("params/")) == own.params


@both
@every
def test_a_written_network_imports_nothing_of_ours(name: str, folded: bool, cases: dict, tmp_path: Path) -> None:
    path, _ = written(cases[name], tmp_path, folded, (16, 16, 3))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= {"flax", "jax", "safetensors", "typing"}
    defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert len(defined) == len(set(defined))
    assert defined[-1] == "Network"
    assert max(map(len, path.read_text(encoding="utf-8").splitlines())) <= 120


def test_noise_is_exported_as_a_program_only(cases: dict, sentence: object) -> None:
    from dnas.export.source import operation

    with sentence("noise", "stablehlo"):  # type: ignore[operator]
        operation("noise", "s0", channels="4", stride=1, name="edge")
