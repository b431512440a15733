"""A check happens where neither dnas nor Flax can be imported, and finds what is wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas.export
from dnas.export import check as checking
from dnas.export import clean
from dnas.export.check import NEEDS, check, importable
from dnas.export.program import program
from dnas.export.stablehlo import to_stablehlo
from dnas.types import Network, Variables, Workload

Sentence = Callable[..., object]


def probe(to: str, name: str) -> str:
    """Try to import a module where an exported file runs; return what came of it."""
    allowed = json.dumps(sorted(importable(NEEDS[to])))
    code = (
        f"import sys; sys.path.insert(0, {str(Path(clean.__file__).parent)!r}); from clean import Only; import json\n"
        f"sys.meta_path[:] = [Only(json.loads({allowed!r}), tuple(sys.meta_path))]\n"
        f"try:\n    import {name}\n    print('found')\nexcept ModuleNotFoundError:\n    print('nothing')\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("to", "name", "found"),
    [
        ("stablehlo", "numpy", True),
        ("stablehlo", "flax", False),
        ("stablehlo", "dnas", False),
        ("onnx", "jax", False),
        ("onnx", "dnas", False),
        ("flax", "safetensors", True),
        ("flax", "dnas", False),
        ("flax", "search_spaces", False),
    ],
)
def test_what_can_be_imported(to: str, name: str, found: bool) -> None:
    assert probe(to, name) == ("found" if found else "nothing")


def linear() -> tuple[Network, Variables]:
    """A network that is made of no Flax modules."""

    def apply(variables: Variables, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict]:
        return jnp.tanh(x) @ variables.params["kernel"], {}

    kernel = np.arange(6, dtype=np.float32).reshape(3, 2)
    return Network(lambda key, x: None, apply, lambda shape: Workload(6, 6)), Variables({"kernel": kernel}, {})


@pytest.mark.parametrize("to", ["stablehlo", "onnx"])
def test_any_network_is_exported_and_checked(to: str, tmp_path: Path, sentence: Sentence) -> None:
    network, variables = linear()
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    path = tmp_path / "network"
    checked = dnas.export.export(network, variables, x, to, path)
    assert checked.inputs == 4
    assert checked.difference < 1e-5
    np.testing.assert_allclose(checking.run(to, path, x[:3]), np.tanh(x[:3]) @ variables.params["kernel"], atol=1e-5)
    with sentence("exists", "overwrite=True"):
        dnas.export.export(network, variables, x, to, path)


def test_another_function_is_found_out(tmp_path: Path, sentence: Sentence) -> None:
    network, variables = linear()
    x = np.ones((3, 3), np.float32)
    path = tmp_path / "network"
    path.write_bytes(to_stablehlo(program(network, variables).call, jax.ShapeDtypeStruct((1, 3), np.float32)))
    right = np.tanh(x) @ variables.params["kernel"]
    assert check("stablehlo", path, x, right, lambda outputs: float(outputs.shape[0])).score == 3
    with sentence("differs from the network by 0.001", "--no-fold"):
        check("stablehlo", path, x, right + np.float32(1e-3))
    scores = iter([0.5, 0.75])
    with sentence("scores 0.5 where the network scores 0.75"):
        check("stablehlo", path, x, right, lambda outputs: next(scores))
    path.write_bytes(b"something else")
    with sentence("does not run with jax and flatbuffers alone"):
        check("stablehlo", path, x, right)


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    network, variables = linear()

    def calls_back(variables: Variables, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict]:
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x), {}

    x = np.ones((3, 3), np.float32)
    for to in ("stablehlo", "onnx"):
        with pytest.raises(dnas.UserError) as caught:
            dnas.export.export(network._replace(apply=calls_back), variables, x, to, tmp_path / "network")
        assert "cannot" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_unknown_formats_and_empty_examples(tmp_path: Path, sentence: Sentence) -> None:
    network, variables = linear()
    with sentence("unknown format 'onx': did you mean 'onnx'"):
        dnas.export.export(network, variables, np.ones((1, 3)), "onx", tmp_path / "network")
    with sentence("at least one input"):
        dnas.export.export(network, variables, np.ones((0, 3)), "onnx", tmp_path / "network")
