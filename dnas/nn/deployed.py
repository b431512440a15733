"""Networks as they are deployed: batch norm that follows a convolution is part of that convolution."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flax.linen as nn
from jax import lax

from dnas.nn.base import Norm, Operation
from dnas.nn.conv import Conv
from dnas.nn.depthwise import DepthwiseConv
from dnas.nn.norm import BatchNorm
from dnas.nn.pointwise import Pointwise

_LINEAR = (Conv, DepthwiseConv, Pointwise, nn.Conv)


@contextmanager
def deployed() -> Iterator[None]:
    """Trace `apply` in evaluation as the program of a deployed network: batch norms folded, operations kept apart.

    In evaluation batch norm is a factor and a summand for each channel. Where its module calls a convolution before it,
    the factor belongs into that convolution's kernel, so that the summand is left, for which the running mean stands
    in: what is traced takes the time of the deployed network, but has its numbers only where the kernels hold the
    factors already and the means the summands. Batch norm after a pool or a sum stays as it is.

    What an operation reads is computed once and written to memory, as inference engines do. Left to itself, XLA's CPU
    compiler computes the input of a pool or a depthwise convolution again for every one of their taps, and that of two
    pools in a row for the taps of both; activations and sums still become part of their neighbours.
    """
    convolved: set[tuple[str, ...]] = set()

    def fold(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
        module = context.module
        if context.method_name != "__call__":
            return method(*args, **kwargs)
        if isinstance(module, Operation):
            args = (lax.optimization_barrier(args[0]), *args[1:])
        owner = module.parent
        if isinstance(module, _LINEAR) and isinstance(owner, nn.Module):
            convolved.add(owner.path)
        if isinstance(module, BatchNorm | nn.BatchNorm) and isinstance(owner, nn.Module):
            outer = owner.parent if isinstance(owner, Norm) else owner
            if isinstance(outer, nn.Module) and outer.path in convolved:
                x = args[0]
                return (x + module.get_variable("batch_stats", "mean")).astype(module.dtype or x.dtype)
        return method(*args, **kwargs)

    with nn.intercept_methods(fold):
        yield
