"""Several sums over the pixels of images in one pass over memory."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


@jax.custom_jvp
def pixel_sums(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Return for each `(N, H, W, C)` its sums over height and width, `(N, C)` float32.

    Whatever the arrays are computed from is read once for all of them. Each image has its own sums, so that threads
    have something to share.
    """
    zeros = tuple(np.float32(0) for _ in arrays)
    # A compiled sum of float32 takes what the arrays are computed from, so that the conversion costs no memory.
    floats = tuple(array.astype(jnp.float32) for array in arrays)
    return tuple(lax.reduce(floats, zeros, lambda a, b: tuple(p + q for p, q in zip(a, b, strict=True)), (1, 2)))


@pixel_sums.defjvp
def _tangent(
    arrays: tuple[jax.Array, ...], tangents: tuple[jax.Array, ...]
) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    # JAX has no derivative of a reduction of several arrays; that of separate sums is the same.
    return pixel_sums(*arrays), tuple(tangent.astype(jnp.float32).sum(axis=(1, 2)) for tangent in tangents)
