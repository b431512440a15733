"""One of several functions, of which only the chosen one is computed, in the derivative too.

Automatic differentiation of `lax.switch` keeps the intermediate arrays of every branch, zeros for all but one. Here
nothing but the arguments is kept, and the derivative computes the chosen branch again.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax import lax

Tree = Any


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def switch(branches: tuple[Callable[..., Tree], ...], index: jax.Array, *operands: Tree) -> Tree:
    """Return `branches[index](*operands)`; all branches return arrays of the same shapes, and can be hashed.

    Under `vmap` over `index` every branch is computed.
    """
    return lax.switch(index, branches, *operands)


def _forward(branches: tuple[Callable[..., Tree], ...], index: jax.Array, *operands: Tree) -> tuple[Tree, Tree]:
    return lax.switch(index, branches, *operands), (index, operands)


def _backward(branches: tuple[Callable[..., Tree], ...], residuals: Tree, cotangent: Tree) -> tuple[Tree, ...]:
    index, operands = residuals

    def back(branch: Callable[..., Tree], cotangent: Tree, *operands: Tree) -> tuple[Tree, ...]:
        return tuple(jax.vjp(branch, *operands)[1](cotangent))

    return None, *lax.switch(index, [partial(back, branch) for branch in branches], cotangent, *operands)


switch.defvjp(_forward, _backward)
