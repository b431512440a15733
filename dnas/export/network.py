"""Any network as one file that runs without dnas, checked."""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dnas.errors import UserError, unknown
from dnas.export.check import Checked, check, reference
from dnas.export.onnx import to_onnx
from dnas.export.place import write_file
from dnas.export.program import Preprocess, program
from dnas.export.stablehlo import to_stablehlo
from dnas.types import Array, Network, Output, Variables

FORMATS = {"stablehlo": to_stablehlo, "onnx": to_onnx}


def export(
    network: Network,
    variables: Variables,
    example: Array | np.ndarray,
    to: str,
    path: str | Path,
    *,
    folded: bool = True,
    preprocess: Preprocess | None = None,
    overwrite: bool = False,
) -> Checked:
    """Write a network in evaluation as one file, with its weights inside and any batch size, and check it.

    The file is run on `example` in a process that can import neither dnas nor Flax; it is written only if it returns
    there what the network returns, within 1e-4.

    Args:
        network: any network of one array to one array, such as `space.build(genotype)`.
        variables: its weights and running statistics.
        example: real inputs, `(N, ...)`; the file takes any number of such.
        to: `stablehlo` or `onnx`.
        path: the file.
        folded: whether batch norm is folded into the layers before it.
        preprocess: what is done to inputs before the network sees them, such as normalising them; becomes part of the
            file.
        overwrite: whether a file may be replaced.

    Raises:
        UserError: for an unknown format, a file that exists, a missing package, or a network that cannot be exported.
    """
    if to not in FORMATS:
        raise unknown("format", to, FORMATS)
    path = Path(path)
    if path.exists() and not (overwrite and path.is_file()):
        raise UserError(f"{str(path)!r} exists: choose another name, or give overwrite=True to replace a file")
    # In a type that JAX computes with.
    inputs = np.asarray(jnp.asarray(example))
    if inputs.ndim < 1 or not len(inputs):
        raise UserError(f"the example has shape {inputs.shape}: give an array of at least one input, (N, ...)")

    def evaluated(x: Array) -> Array:
        output = network.apply(variables, x if preprocess is None else preprocess(x), train=False)[0]
        return output.logits if isinstance(output, Output) else output

    expected = reference(evaluated, inputs)
    own = program(network, variables, folded=folded, preprocess=preprocess)
    shape = jax.ShapeDtypeStruct(inputs.shape, inputs.dtype)
    content = FORMATS[to](own.call, shape)
    with tempfile.TemporaryDirectory(prefix="dnas-export-") as folder:
        trial = Path(folder) / "network"
        trial.write_bytes(content)
        checked = check(to, trial, inputs, expected)
    write_file(path, content)
    return checked
