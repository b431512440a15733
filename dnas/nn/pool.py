"""3x3 maximum pooling with its own derivative.

Differentiating a windowed maximum makes XLA search every window again, one element at a time. Here the forward pass
notes which of the nine cells was largest, the first one where several are, and the backward pass is a sum of nine
shifted selections: the same numbers, several times faster on CPU.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_TAPS = [(row, column) for row in range(3) for column in range(3)]


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def max_pool_3x3(x: jax.Array, stride: int) -> jax.Array:
    """Return the maximum over 3x3 windows of `(N, H, W, C)`, padded by 1 with minus infinity.

    The output has `ceil(H / stride)` times `ceil(W / stride)` pixels.
    """
    return nn.max_pool(x, (3, 3), strides=(stride, stride), padding=((1, 1), (1, 1)))


def _forward(x: jax.Array, stride: int) -> tuple[jax.Array, tuple[jax.Array, tuple[int, ...]]]:
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)
    height, width = (-(-length // stride) for length in x.shape[1:3])
    best: jax.Array | None = None
    winner: jax.Array | None = None
    for tap, (row, column) in enumerate(_TAPS):
        window = lax.slice(
            padded,
            (0, row, column, 0),
            (x.shape[0], row + stride * (height - 1) + 1, column + stride * (width - 1) + 1, x.shape[3]),
            (1, stride, stride, 1),
        )
        if best is None or winner is None:
            best, winner = window, jnp.zeros(window.shape, jnp.int8)
        else:
            winner = jnp.where(window > best, np.int8(tap), winner)
            best = jnp.maximum(window, best)
    assert winner is not None
    return max_pool_3x3(x, stride), (winner, x.shape[1:3])


def _backward(stride: int, residuals: tuple[jax.Array, tuple[int, ...]], cotangent: jax.Array) -> tuple[jax.Array]:
    winner, (height, width) = residuals
    spread = []
    for length, out in zip((height, width), winner.shape[1:3], strict=True):
        spread.append((1, length - stride * (out - 1), stride - 1))
    padding = ((0, 0, 0), *spread, (0, 0, 0))
    winner = lax.pad(winner, np.int8(-1), padding)
    cotangent = lax.pad(cotangent, jnp.zeros((), cotangent.dtype), padding)
    total = jnp.zeros((), cotangent.dtype)
    for tap, (row, column) in enumerate(_TAPS):
        window = (slice(None), slice(2 - row, 2 - row + height), slice(2 - column, 2 - column + width))
        total = total + jnp.where(winner[window] == tap, cotangent[window], 0)
    return (total,)


max_pool_3x3.defvjp(_forward, _backward)
