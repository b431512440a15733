"""1x1 convolution as a matrix product with its own derivative.

The kernel gradient is a product over all pixels of a batch. XLA's CPU compiler runs it on one thread and turns its
operand round in memory first; as a few products over parts of the batch it is faster. Other platforms get what
automatic differentiation gives them.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from dnas.nn.init import torch_uniform

PARTS = 8
"""Into how many parts the batch is divided, at the most."""


@jax.custom_vjp
def pointwise_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiply `(N, H, W, C)` by `(C, K)` at each pixel."""
    return x @ kernel


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return x @ kernel, (x, kernel)


def _backward(residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    of_kernel = lax.platform_dependent(x, cotangent, cpu=_in_parts, default=_at_once)
    return cotangent @ kernel.T, of_kernel.astype(kernel.dtype)


def _at_once(x: jax.Array, cotangent: jax.Array) -> jax.Array:
    return jnp.einsum("nhwc,nhwk->ck", x, cotangent, preferred_element_type=jnp.float32)


def _in_parts(x: jax.Array, cotangent: jax.Array) -> jax.Array:
    parts = max(count for count in range(1, PARTS + 1) if x.shape[0] % count == 0)
    flat = (array.reshape(parts, -1, array.shape[-1]) for array in (x, cotangent))
    return jnp.einsum("apc,apk->ack", *flat, preferred_element_type=jnp.float32).sum(axis=0)


pointwise_conv.defvjp(_forward, _backward)


class Pointwise(nn.Module):
    """A bias-free 1x1 convolution.

    Attributes:
        features: channels K out.
        dtype: type of the computation; the kernel stays float32.
    """

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `(N, H, W, C)` to `(N, H, W, K)`."""
        kernel = self.param("kernel", torch_uniform, (x.shape[-1], self.features))
        return pointwise_conv(x.astype(self.dtype), kernel.astype(self.dtype))
