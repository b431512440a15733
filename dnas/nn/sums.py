"""Several sums over the pixels of images in one pass over memory.

Whatever the arrays are computed from is read once for all of them. Each image has its own sums at first, so that
threads have something to share.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

ROWS = 32
"""How many rows of pixels are summed at a time, at the most."""


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _sums(axes: tuple[int, ...], arrays: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    zeros = tuple(np.float32(0) for _ in arrays)
    # A compiled sum of float32 takes what the arrays are computed from, so that the conversion costs no memory.
    floats = tuple(array.astype(jnp.float32) for array in arrays)
    return tuple(lax.reduce(floats, zeros, lambda a, b: tuple(p + q for p, q in zip(a, b, strict=True)), axes))


@_sums.defjvp
def _tangent(
    axes: tuple[int, ...], primals: tuple[tuple[jax.Array, ...]], tangents: tuple[tuple[jax.Array, ...]]
) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    # JAX has no derivative of a reduction of several arrays; that of separate sums is the same.
    return _sums(axes, *primals), tuple(tangent.astype(jnp.float32).sum(axis=axes) for tangent in tangents[0])


def pixel_sums(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Return for each `(N, H, W, C)` its sums over height and width, `(N, C)` float32; for many arrays."""
    return _sums((1, 2), arrays)


def channel_sums(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Return for each `(N, H, W, C)` its sums over all but the last axis, `(C,)` float32; for few arrays.

    Only some rows are summed at first: what is summed at a time then lies together in memory, and there is so little
    of it that the compiler writes it out, which is several times faster on CPU. For many arrays the sums of each
    column of pixels would take too much memory.
    """
    images, height, *rest = arrays[0].shape
    rows = max(count for count in range(1, ROWS + 1) if height % count == 0)
    blocks = tuple(array.reshape(images, height // rows, rows, *rest) for array in arrays)
    # Together, so that devices that divide the images exchange one array; a sum of several would be exchanged whole.
    columns = jnp.stack(_sums((2,), blocks)).sum(axis=(1, 2, 3))
    return tuple(columns[index] for index in range(len(arrays)))
