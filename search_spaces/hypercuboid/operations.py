"""Operations between states of different widths."""

from dataclasses import dataclass

import flax.linen as nn
import jax

from dnas.nn.mixed import Candidate
from dnas.nn.operations import Operation, operation


class Resized(Operation):
    """An operation, then a 1x1 convolution and batch norm where it has not changed the number of channels itself.

    For a pool this is `ResizablePool` of the authors' code (ahundt/sharpDARTS, `cnn/operations.py`), whose epsilon is
    1e-3 where ours is 1e-5; a skip connection is resized in the same way.

    Attributes:
        op: name of the operation.
    """

    op: str = "max_pool_3x3"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Map `(N, H, W, any)` to `(N, H / stride, W / stride, channels)`."""
        apply = operation(self.op)(self.channels, self.stride, affine=self.affine, dtype=self.dtype, name="op")
        y = apply(x, train)
        if y.shape[-1] == self.channels:
            return y
        return self.norm("norm")(self.pointwise(self.channels, "resize")(y), train)


@dataclass(frozen=True)
class ResizedCandidate(Candidate):
    """A candidate of the grid's edges.

    Attributes:
        affine: whether batch norm has scale and bias.
    """

    affine: bool = True

    def module(self, name: str | None = None) -> Operation:
        """Return the operation as a Linen module."""
        return Resized(self.channels, self.stride, self.affine, dtype=self.dtype, op=self.op, name=name)
