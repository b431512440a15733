"""Sparsemax (Martins and Astudillo, arXiv:1602.02068), which TangleNAS mixes entangled operations with."""

from functools import partial

import jax
import jax.numpy as jnp

from dnas.relaxations._alpha import normal
from dnas.relaxations._by_rows import by_rows
from dnas.types import Array, Relaxation


def sparsemax(scale: float = 1e-3) -> Relaxation:
    """Return the relaxation whose weights are the point of the simplex that is nearest to each edge's row of `alpha`.

    Weights of weak operations are exactly zero, and so are the gradients of their entries of `alpha`.

    Args:
        scale: standard deviation of the normal distribution that `alpha` starts from.
    """
    return by_rows(partial(normal, scale=scale), _project)


def _project(rows: Array) -> Array:
    """Project rows `(edges, ops)` onto the simplex: algorithm 1 of the paper, recalled, with the Jacobian that follows.

    Within the support S the result is `rows` less a threshold, (sum over S of rows - 1) / |S|; the support does not
    move under a small change, so that it is a constant to the derivative.
    """
    rows = rows - jax.lax.stop_gradient(rows.max(axis=-1, keepdims=True))
    support = jax.lax.stop_gradient(rows > _threshold(rows))
    excess = jnp.where(support, rows, 0.0).sum(axis=-1, keepdims=True) - 1.0
    return jnp.where(support, rows - excess / support.sum(axis=-1, keepdims=True), 0.0)


def _threshold(rows: Array) -> Array:
    """Return what is taken from each row, `(edges, 1)`."""
    descending = -jnp.sort(-rows, axis=-1)
    sums = jnp.cumsum(descending, axis=-1)
    counts = jnp.arange(1, rows.shape[-1] + 1)
    size = (1.0 + counts * descending > sums).sum(axis=-1, keepdims=True)
    return (jnp.take_along_axis(sums, size - 1, axis=-1) - 1.0) / size
