"""Keeping XLA's CPU compiler from computing an array again in all that reads it."""

import jax
import jax.numpy as jnp
from jax import lax


def apart(x: jax.Array, index: jax.Array) -> jax.Array:
    """Return `x`, which on CPU, like its cotangent, is then computed once and put into memory.

    A sum of many parts that several operations read would otherwise be folded into each of them. An optimisation
    barrier does not help, since the compiler drops it before it folds.

    Args:
        x: any array.
        index: a scalar that is never negative, which must be nothing that a compiler knows: the index of a loop.
    """

    def held(x: jax.Array, index: jax.Array) -> jax.Array:
        return lax.cond(index >= 0, lambda x: x, jnp.zeros_like, x)

    return lax.platform_dependent(x, index, cpu=held, default=lambda x, _: x)
