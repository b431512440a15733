"""Dropout on the path of skip connections, as P-DARTS searches with (Chen et al., arXiv:1904.12760)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dnas.errors import UserError
from dnas.relaxations._alpha import group_keys
from dnas.relaxations.softmax import softmax
from dnas.types import Alpha, Array, Mixture, Paths, PRNGKey, Relaxation, Spec, Weights


class SkipDropout(NamedTuple):
    """What dropout on skip connections carries.

    Attributes:
        inner: state of the wrapped relaxation.
        step: steps taken, int32.
        columns: for each group that has the operation, its column, int32.
    """

    inner: Any
    step: Array
    columns: Mapping[str, Array]


def skip_dropout(
    relaxation: Relaxation | None = None, rate: optax.ScalarOrSchedule = 0.3, operation: str = "skip_connect"
) -> Relaxation:
    """Return `relaxation` with the skip connection of each edge left out at random.

    An edge's skip connection weighs 0 with probability p and 1 / (1 - p) of its weight otherwise, so that its mean is
    what it was; `expected` knows nothing of it. The reference code (chenxin061/pdarts, `model_search.py`) drops the
    single entries of what a skip connection of stride 1 gives, anew in each cell. Here a draw is for an edge as a
    whole, for all images of a minibatch and all cells that the edge is part of, and for skip connections of stride 2
    too.
    Groups without the operation are left as they are.

    Args:
        relaxation: what gives the operation weights; `softmax()` if it is `None`.
        rate: p, at least 0 and less than 1, or a function from steps taken, () int32, to it.
        operation: name of the skip connection among the candidates.

    Raises:
        UserError: for a constant rate outside of [0, 1).
    """
    if not callable(rate) and not 0 <= rate < 1:
        raise UserError(f"rate of dropout on skip connections: expected at least 0 and less than 1, got {rate}")
    inner = softmax() if relaxation is None else relaxation

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, SkipDropout]:
        alpha, state = inner.init(key, spec)
        columns = {
            name: jnp.array(group.ops.index(operation), jnp.int32)
            for name, group in spec.items()
            if operation in group.ops
        }
        return alpha, SkipDropout(state, jnp.zeros((), jnp.int32), columns)

    def expected(alpha: Alpha, state: SkipDropout) -> Weights:
        return inner.expected(alpha, state.inner)

    def weights(key: PRNGKey, alpha: Alpha, state: SkipDropout) -> Mixture:
        key_inner, key_own = jax.random.split(key)
        mixture, keys = inner.weights(key_inner, alpha, state.inner), group_keys(key_own, state.columns)
        chance = jnp.asarray(rate(state.step) if callable(rate) else rate, jnp.float32)
        return {
            name: _dropped(keys[name], rows, state.columns[name], chance) if name in state.columns else rows
            for name, rows in mixture.items()
        }

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: SkipDropout) -> tuple[Alpha, SkipDropout]:
        alpha, inner_state = inner.advance(jax.random.split(key)[0], before, after, state.inner)
        return alpha, SkipDropout(inner_state, state.step + 1, state.columns)

    return Relaxation(init, weights, expected, advance)


def _dropped(key: PRNGKey, rows: Array | Paths, column: Array, rate: Array) -> Array | Paths:
    if isinstance(rows, Paths):
        return rows._replace(weights=_scaled(key, rows.weights, column, rate))
    return _scaled(key, rows, column, rate)


def _scaled(key: PRNGKey, rows: Array, column: Array, rate: Array) -> Array:
    edges, ops = rows.shape
    kept = jax.random.bernoulli(key, 1.0 - rate, (edges, 1)) / (1.0 - rate)
    return rows * jnp.where(jnp.arange(ops) == column, kept, 1.0).astype(rows.dtype)
