"""Keeping XLA's CPU compiler from folding one computation into another.

A sum of many parts that several operations read would be computed again in each of them, and the work on one edge
would join the update of a buffer, which runs on one thread. An optimisation barrier does not help, since the compiler
drops it before it folds. A condition that it cannot decide does.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Tree = Any


def apart(present: jax.Array, function: Callable[..., Tree], *arguments: Tree) -> Tree:
    """Return `function(*arguments)` if `present`, else zeros, with nothing folded into it or out of it.

    Args:
        present: a scalar that must be nothing that a compiler knows, even where it is always true: an entry of a
            table that a loop reads, or a comparison with the index of a loop.
        function: what is called.
        arguments: its arguments.
    """
    shapes = jax.eval_shape(function, *arguments)
    nothing = lambda *_: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)  # noqa: E731
    return lax.cond(present, function, nothing, *arguments)


def held(x: jax.Array, index: jax.Array) -> jax.Array:
    """Return `x`, which on CPU, like its cotangent, is then computed once and put into memory.

    Args:
        x: any array.
        index: the index of a loop.
    """
    return lax.platform_dependent(
        x, index, cpu=lambda x, index: apart(index >= 0, lambda x: x, x), default=lambda x, _: x
    )
