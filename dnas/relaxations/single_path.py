"""Paths drawn uniformly, as random search with shared weights and SETN train them (arXiv:1902.07638, 1910.05733)."""

from typing import Any

import jax
import jax.numpy as jnp

from dnas.relaxations._alpha import ABSENT, group_keys, zeros
from dnas.relaxations._paths import one_path
from dnas.types import Alpha, Array, Mixture, PRNGKey, Relaxation, Spec, Weights


def single_path() -> Relaxation:
    """Return the relaxation that computes one operation an edge, each as likely as any other.

    Nothing is learnt: `alpha` starts at zero and its gradient is zero. It only says, through `masked`, which
    operations there are to draw from. `expected` gives each of them the same weight.
    """

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Any]:
        del key
        return zeros(spec), ()

    def expected(alpha: Alpha, state: Any) -> Weights:
        del state
        return {name: jax.nn.softmax(_even(rows), axis=-1) for name, rows in alpha.items()}

    def weights(key: PRNGKey, alpha: Alpha, state: Any) -> Mixture:
        del state
        keys = group_keys(key, alpha)
        return {
            name: one_path(jax.random.categorical(keys[name], _even(rows), axis=-1), jnp.zeros_like(rows))
            for name, rows in alpha.items()
        }

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Any) -> tuple[Alpha, Any]:
        del key, before
        return after, state

    return Relaxation(init, weights, expected, advance)


def _even(rows: Array) -> Array:
    return jnp.where(rows <= ABSENT, ABSENT, 0.0)
