"""A program as a StableHLO artefact of `jax.export`."""

from collections.abc import Callable, Sequence

import jax
from jax import export

from dnas.errors import UserError, reason
from dnas.export.needed import require
from dnas.types import Array

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
"""What an artefact runs on; JAX chooses by the device where it is called."""


def to_stablehlo(
    call: Callable[[Array], Array], example: jax.ShapeDtypeStruct, platforms: Sequence[str] = PLATFORMS
) -> bytes:
    """Return a program with the weights inside and any batch size, as `jax.export.deserialize` reads it.

    Args:
        call: the program.
        example: shape and type of an input; the length of its first axis is left open.
        platforms: what it shall run on.

    Raises:
        UserError: if the program cannot be exported, for instance because it calls back to Python.
    """
    (batch,) = export.symbolic_shape("batch")
    require("flatbuffers")
    open_example = jax.ShapeDtypeStruct((batch, *example.shape[1:]), example.dtype)
    try:
        return bytes(export.export(jax.jit(call), platforms=platforms)(open_example).serialize())
    except Exception as error:  # JAX refuses what cannot be exported with errors of many types.
        raise UserError(
            f"jax.export cannot export this network for {', '.join(platforms)} with any batch size ({reason(error)}): "
            f"leave out what calls back to Python, and write x.shape[0] in place of len(x)"
        ) from error
