"""The Dirichlet distribution of DrNAS (Chen et al., arXiv:2006.10355)."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from dnas.relaxations._alpha import ABSENT, normal
from dnas.relaxations._by_rows import by_rows
from dnas.types import Array, PRNGKey, Relaxation

FLOOR = 1e-6
"""Smallest concentration, below which a draw is one-hot to the last bit and its derivative no longer finite."""


def dirichlet(scale: float = 1e-3) -> Relaxation:
    """Return the relaxation whose weights on each edge are a draw from Dirichlet(elu(alpha) + 1).

    The draw is differentiated pathwise, by implicit reparameterisation of the Gamma variables that it is made of
    (arXiv:1805.08498). `expected` is the distribution's mean; the authors' code selects on softmax(alpha), which orders
    the operations of an edge alike. Concentrations, and their start near 1, are those of that code (DrNAS,
    `model_search.py`). An operation left out (`masked`) has concentration zero: the others follow the Dirichlet
    distribution of their own.

    Args:
        scale: standard deviation of the normal distribution that `alpha` starts from.
    """
    return by_rows(partial(normal, scale=scale), _mean, _draw)


def _concentration(rows: Array) -> Array:
    """Return elu(rows) + 1, without the cancellation of -1 and 1, and not less than `FLOOR`."""
    return jnp.maximum(jnp.where(rows > 0, rows + 1.0, jnp.exp(jnp.minimum(rows, 0.0))), FLOOR)


def _mean(rows: Array) -> Array:
    present = jnp.where(rows <= ABSENT, 0.0, _concentration(rows))
    return present / jnp.maximum(present.sum(axis=-1, keepdims=True), FLOOR)


def _draw(key: PRNGKey, rows: Array, state: Any) -> Array:
    del state
    # Logarithms, since a Gamma variable of small concentration underflows.
    log_gamma = jax.random.loggamma(key, _concentration(rows))
    return jax.nn.softmax(jnp.where(rows <= ABSENT, jnp.finfo(rows.dtype).min / 2, log_gamma), axis=-1)
