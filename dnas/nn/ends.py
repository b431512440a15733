"""The two ends of an image network: the 3x3 stem and the pooled linear head."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from dnas.nn.conv import Conv
from dnas.nn.init import torch_bias, torch_uniform
from dnas.nn.operations import Norm


class Stem(nn.Module):
    """3x3 convolution and batch norm, affine in supernets too."""

    channels: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Map `(N, H, W, any)` to `(N, H, W, channels)`."""
        x = Conv(self.channels, dtype=self.dtype, name="conv")(x)
        return Norm(dtype=self.dtype, name="norm")(x, train)


class Head(nn.Module):
    """Global average pool and a dense layer, in float32."""

    classes: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `(N, H, W, C)` to `(N, classes)` logits."""
        pooled = x.astype(jnp.float32).mean(axis=(1, 2))
        dense = nn.Dense(self.classes, kernel_init=torch_uniform, bias_init=torch_bias(pooled.shape[-1]), name="dense")
        return dense(pooled)
