"""A program as an ONNX model, made by jax2onnx."""

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import jax
from jax import export

from dnas.errors import UserError, reason
from dnas.export.needed import require
from dnas.export.rewriting import named
from dnas.types import Array

OPSET = 18
"""Version of ONNX's operators: old enough for most runtimes, and all that is needed."""
INPUT, OUTPUT = "inputs", "outputs"
"""Names of the model's input and output."""


def to_onnx(call: Callable[[Array], Array], example: jax.ShapeDtypeStruct) -> bytes:
    """Return a program as an ONNX model with the weights inside and any batch size.

    Args:
        call: the program.
        example: shape and type of an input; the length of its first axis is left open.

    Raises:
        UserError: if jax2onnx is not installed, or cannot convert one of the operations.
    """
    (batch,) = export.symbolic_shape("batch")
    open_example = jax.ShapeDtypeStruct((batch, *example.shape[1:]), example.dtype)
    require("jax2onnx", "onnx")
    with _quiet():
        import onnx
        from jax2onnx import to_onnx as convert
    try:
        with _quiet():
            model: Any = convert(
                named(call, open_example),
                inputs=[open_example],
                return_mode="proto",
                opset=OPSET,
                model_name="network",
                input_names=[INPUT],
                output_names=[OUTPUT],
            )
        onnx.checker.check_model(model)
    except Exception as error:  # A converter meets what it does not know in many ways.
        raise UserError(
            f"jax2onnx cannot convert this network ({reason(error)}): export it to another format, "
            f"such as stablehlo; as the batch size is left open, a model needs x.shape[0] in place of len(x)"
        ) from error
    return bytes(model.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's notes about itself from the screen."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
