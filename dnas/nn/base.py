"""What all candidate operations share: their settings, their batch norm and their 1x1 convolution."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from dnas.nn.norm import BatchNorm
from dnas.nn.pointwise import Pointwise


class Norm(nn.Module):
    """Batch norm: batch statistics in training, running statistics otherwise; statistics in float32."""

    affine: bool = True
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Normalise the last axis of `(N, H, W, C)`."""
        return BatchNorm(self.affine, self.dtype, name="bn")(x, train)


class Operation(nn.Module):
    """What all operations share.

    Attributes:
        channels: channels C out, and in where the operation keeps their number.
        stride: 1 or 2.
        affine: whether batch norm has scale and bias.
        pool_norm: whether a pool is followed by batch norm, as in the DARTS supernet.
        dtype: type of the computation; parameters stay float32.
    """

    channels: int
    stride: int = 1
    affine: bool = True
    pool_norm: bool = False
    dtype: DTypeLike = jnp.float32

    def pointwise(self, features: int, name: str | None = None) -> Pointwise:
        """A bias-free 1x1 convolution: a matrix product over the channels."""
        return Pointwise(features, self.dtype, name=name)

    def norm(self, name: str | None = None) -> Norm:
        """Batch norm with this operation's settings."""
        return Norm(self.affine, self.dtype, name=name)
