"""Paths drawn uniformly, as random search with shared weights and SETN train them (arXiv:1902.07638, 1910.05733)."""

from typing import Any

import jax
import jax.numpy as jnp

from dnas.relaxations._alpha import ABSENT, zeros
from dnas.relaxations._by_rows import by_rows, softmax_rows
from dnas.relaxations._paths import one_path
from dnas.types import Array, Paths, PRNGKey, Relaxation


def single_path() -> Relaxation:
    """Return the relaxation that computes one operation an edge, each as likely as any other.

    Nothing is learnt: `alpha` starts at zero and its gradient is zero. It only says, through `masked`, which
    operations there are to draw from. `expected` gives each of them the same weight.
    """
    return by_rows(zeros, _expected, _draw)


def _expected(rows: Array) -> Array:
    return softmax_rows(_even(rows))


def _draw(key: PRNGKey, rows: Array, state: Any) -> Paths:
    del state
    return one_path(jax.random.categorical(key, _even(rows), axis=-1), jnp.zeros_like(rows))


def _even(rows: Array) -> Array:
    return jnp.where(rows <= ABSENT, ABSENT, 0.0)
