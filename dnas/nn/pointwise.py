"""1x1 convolution as matrix products with its own derivative.

On CPU the batch is divided into a few parts, each of which has its own product: the kernel gradient, a product over all
pixels, would otherwise run on one thread and turn its operand round in memory first. Forward and backward divide it in
the same way, since XLA's CPU compiler computes an operand that is needed in two shapes twice. Other platforms get one
product, and what automatic differentiation gives them.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from dnas.nn.init import torch_uniform

PARTS = 8
"""Into how many parts the batch is divided, at the most."""


@jax.jit
def pointwise_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiply `(N, H, W, C)` by `(C, K)` at each pixel."""
    return _pointwise_conv(x, kernel)


@jax.custom_vjp
def _pointwise_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return _multiply(x, kernel)


def _multiply(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.platform_dependent(x, kernel, cpu=_in_parts, default=jnp.matmul)


def _divided(x: jax.Array) -> jax.Array:
    """Return `(N, H, W, C)` as `(parts, pixels, C)`."""
    parts = max(count for count in range(1, PARTS + 1) if x.shape[0] % count == 0)
    return x.reshape(parts, -1, x.shape[-1])


def _in_parts(x: jax.Array, kernel: jax.Array) -> jax.Array:
    flat = _divided(x)
    # A kernel of its own for each part, or the compiler joins the parts again.
    return jnp.matmul(flat, jnp.broadcast_to(kernel, (flat.shape[0], *kernel.shape))).reshape(*x.shape[:-1], -1)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    # Not by `pointwise_conv`: JAX 0.10 loses its way when that is differentiated twice in a scan.
    return _multiply(x, kernel), (x, kernel)


def _backward(residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    of_kernel = lax.platform_dependent(x, cotangent, cpu=_kernel_in_parts, default=_kernel_at_once)
    return pointwise_conv(cotangent, kernel.T), of_kernel.astype(kernel.dtype)


def _kernel_at_once(x: jax.Array, cotangent: jax.Array) -> jax.Array:
    return jnp.einsum("nhwc,nhwk->ck", x, cotangent, preferred_element_type=jnp.float32)


def _kernel_in_parts(x: jax.Array, cotangent: jax.Array) -> jax.Array:
    flat = (_divided(array) for array in (x, cotangent))
    return jnp.einsum("apc,apk->ack", *flat, preferred_element_type=jnp.float32).sum(axis=0)


_pointwise_conv.defvjp(_forward, _backward)


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
