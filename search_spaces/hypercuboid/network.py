"""The network that a path through the grid stands for (`MultiChannelNetworkModel` of ahundt/sharpDARTS)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from dnas.errors import UserError
from dnas.nn.ends import Head, Stem
from dnas.nn.sharp import SharpSepConv
from dnas.types import Output
from search_spaces.hypercuboid.grid import stride
from search_spaces.hypercuboid.operations import Resized
from search_spaces.hypercuboid.paths import Path


class DerivedNetwork(nn.Module):
    """The evaluation network along `route`; other arguments as in `search_spaces.hypercuboid.build`."""

    route: Path
    channels: int
    head_channels: int
    classes: int
    affine: bool
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, drop_path: jax.Array | float = 0.0) -> Output:
        """Map images `(N, H, W, any)` to `(N, classes)` logits; `UserError` unless `drop_path` is 0."""
        if not (isinstance(drop_path, int | float) and drop_path == 0):
            raise UserError("networks of hypercuboid are one path, which cannot be dropped: set retrain.drop_path=0")
        stem, *widths = (self.channels * 2**index for index in self.route.widths)
        x = Stem(stem, self.dtype, name="stem")(x, train)
        for level, (op, width) in enumerate(zip(self.route.ops, widths, strict=True), start=1):
            apply = Resized(width, stride(level), self.affine, dtype=self.dtype, op=op, name=level_name(level))
            x = apply(x, train)
        x = SharpSepConv(self.head_channels, affine=self.affine, dtype=self.dtype, name="end")(x, train)
        return Output(Head(self.classes, name="head")(x))


def level_name(level: int) -> str:
    """Name of the operation that leads to a level, from 1."""
    return f"level_{level}"
