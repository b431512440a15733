"""Partial channel connections: only the first channels of a state go through the operations.

Xu et al., *PC-DARTS*, arXiv:1907.05737, section 3.2; bypass and shuffle as in the authors' code.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp


def divide(x: jax.Array, parts: int, stride: int) -> tuple[jax.Array, jax.Array]:
    """Return what goes through the operations and what goes past them.

    Args:
        x: `(N, H, W, C)`, with C a multiple of `parts`.
        parts: K; one K-th of the channels goes through.
        stride: of the operations; with stride 2 the rest goes through a 2x2 maximum pool.

    Returns:
        `(N, H, W, C / K)` and `(N, H / stride, W / stride, C - C / K)`.
    """
    own = x.shape[-1] // parts
    rest = x[..., own:]
    return x[..., :own], rest if stride == 1 else nn.max_pool(rest, (2, 2), strides=(2, 2))


def join(y: jax.Array, rest: jax.Array, parts: int) -> jax.Array:
    """Concatenate `(N, H, W, C / K)` and `(N, H, W, C - C / K)` and shuffle the channels.

    The shuffle takes turns among the K parts, so that others go through the operations on the next edge.
    """
    x = jnp.concatenate([y, rest], axis=-1)
    return x.reshape(*x.shape[:-1], parts, -1).swapaxes(-1, -2).reshape(x.shape)
