"""Batch norm with its own derivative.

Mean and variance come from one pass over the input, and the two sums of the derivative from one pass over input and
cotangent. Automatic differentiation writes the same sums as several loops, into which compilers fold neighbouring
work again and again.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from dnas.nn.sums import channel_sums

DECAY = 0.9
EPSILON = 1e-5


@jax.jit
def batch_norm(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalise each channel of `(N, H, W, C)` by its statistics over the batch (Ioffe and Szegedy, arXiv:1502.03167).

    Returns:
        The normalised input, of the same type; the mean and the biased variance, `(C,)` float32, through which no
        derivative is taken.
    """
    return _batch_norm(x)


@jax.custom_vjp
def _batch_norm(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    return _forward(x)[0]


def _forward(
    x: jax.Array,
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]:
    wide = x.astype(jnp.float32)
    count = x.size // x.shape[-1]
    total, squares = (sums / count for sums in channel_sums(wide, wide * wide))
    variance = jnp.maximum(squares - total * total, 0)
    scale = lax.rsqrt(variance + EPSILON)
    return (((wide - total) * scale).astype(x.dtype), total, variance), (x, total, scale)


def _backward(
    residuals: tuple[jax.Array, jax.Array, jax.Array], cotangents: tuple[jax.Array, jax.Array, jax.Array]
) -> tuple[jax.Array]:
    x, mean, scale = residuals
    wide, cotangent = x.astype(jnp.float32), cotangents[0].astype(jnp.float32)
    count = x.size // x.shape[-1]
    total, products = (sums / count for sums in channel_sums(cotangent, cotangent * wide))
    slope = (products - mean * total) * scale * scale
    return ((scale * (cotangent - total - (wide - mean) * slope)).astype(x.dtype),)


_batch_norm.defvjp(_forward, _backward)


def moved(running: jax.Array, batch: jax.Array) -> jax.Array:
    """Return a running statistic after a batch whose own statistic is `batch`."""
    return DECAY * running + (1 - DECAY) * lax.stop_gradient(batch)


class BatchNorm(nn.Module):
    """Batch norm with running statistics, of decay 0.9 and epsilon 1e-5; variables as those of `flax.linen.BatchNorm`.

    Attributes:
        affine: whether it has scale and bias.
        dtype: type of the result; statistics and parameters are float32.
    """

    affine: bool = True
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Normalise `(N, H, W, C)`: by batch statistics, which it adds to the running ones, or by the running ones."""
        shape = (x.shape[-1],)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        running_variance = self.variable("batch_stats", "var", jnp.ones, shape)
        if train:
            y, mean, variance = batch_norm(x)
            if not self.is_initializing():
                running_mean.value = moved(running_mean.value, mean)
                running_variance.value = moved(running_variance.value, variance)
        else:
            y = (x - running_mean.value) * lax.rsqrt(running_variance.value + EPSILON)
        if self.affine:
            y = y * self.param("scale", nn.initializers.ones, shape) + self.param("bias", nn.initializers.zeros, shape)
        return y.astype(self.dtype)
