"""Runs an exported network where nothing else can be imported; a script that `dnas.export.check` starts.

It uses nothing of dnas, and is told on its command line which packages it may import.
"""

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

AT_ONCE = 250
"""Images of a call, after a first call with one image."""


class Only:
    """An import hook that finds nothing outside the standard library and the packages that are allowed."""

    def __init__(self, allowed: Sequence[str], finders: Sequence[Any]) -> None:
        self.allowed, self.finders = {*sys.stdlib_module_names, *allowed}, finders

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return what the other hooks find, or nothing for what is not allowed."""
        top = name.partition(".")[0]
        if top not in self.allowed and not top.startswith("_sysconfigdata_"):
            return None
        found = (finder.find_spec(name, path, target) for finder in self.finders)
        return next((spec for spec in found if spec is not None), None)


def stablehlo(file: Path) -> Callable[[Any], Any]:
    """Load an artefact of `jax.export`."""
    jax = importlib.import_module("jax")
    export = importlib.import_module("jax.export")
    call: Callable[[Any], Any] = jax.jit(export.deserialize(bytearray(file.read_bytes())).call)
    return call


def onnx(file: Path) -> Callable[[Any], Any]:
    """Load an ONNX model."""
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def flax(file: Path) -> Callable[[Any], Any]:
    """Load a written module and the weights beside it."""
    sys.path.insert(0, str(file.parent))
    model, jax = importlib.import_module(file.stem), importlib.import_module("jax")
    variables, apply = model.load(str(file.with_name("weights.safetensors"))), jax.jit(model.Network().apply)
    return lambda images: apply(variables, images)


def main(to: str, file: str, inputs: str, outputs: str, allowed: str) -> None:
    """Run the network in `file` on the array in `inputs` and save what it returns as `outputs`."""
    sys.meta_path[:] = [Only([*json.loads(allowed), Path(file).stem], tuple(sys.meta_path))]
    numpy = importlib.import_module("numpy")
    x = numpy.load(inputs)
    load = {"stablehlo": stablehlo, "onnx": onnx, "flax": flax}[to]
    call = load(Path(file))
    batches = [x[:1], *(x[begin : begin + AT_ONCE] for begin in range(1, len(x), AT_ONCE))]
    numpy.save(outputs, numpy.concatenate([numpy.asarray(call(batch)) for batch in batches]))


if __name__ == "__main__":
    main(*sys.argv[1:])
