"""The decaying auxiliary skip connection of DARTS- (Chu et al., arXiv:2009.01027)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dnas.errors import UserError
from dnas.relaxations._annealing import Annealed, Annealing
from dnas.relaxations.softmax import softmax
from dnas.types import Alpha, Array, Mixture, Paths, PRNGKey, Relaxation, Spec, Weights


class Auxiliary(NamedTuple):
    """What the auxiliary skip connection carries.

    Attributes:
        inner: state of the wrapped relaxation.
        beta: its weight.
        columns: for each group that has the operation, its column, int32.
    """

    inner: Any
    beta: Annealed
    columns: Mapping[str, Array]


def auxiliary_skip(
    relaxation: Relaxation | None = None,
    steps: int = 19_550,
    schedule: str = "linear",
    operation: str = "skip_connect",
) -> Relaxation:
    """Return `relaxation` with an auxiliary skip connection on every edge, whose weight beta falls from 1 to 0.

    A skip connection of weight beta beside one of weight w is one of weight w + beta, so that beta is added to the
    column of the candidate in `weights`; it has no part in `expected`, nor in the gradient for `alpha`. On an edge of
    stride 2 both are factorised reductions, and the authors' code (DARTS-, `model_search.py`) gives the auxiliary one
    weights of its own; here the candidate's own takes its part. Over a relaxation that computes a few paths, the skip
    connection is computed beside them. Groups without the operation are left as they are.

    `masked` outside of this wrapper removes the auxiliary connection with the candidate; inside, only the candidate.

    Args:
        relaxation: what gives the operation weights; `softmax()` if it is `None`.
        steps: steps over which beta falls; 50 epochs of 391 by default.
        schedule: "linear" or "cosine".
        operation: name of the skip connection among the candidates.

    Raises:
        UserError: for fewer than one step or an unknown schedule and, from `init`, if no group has the operation.
    """
    inner = softmax() if relaxation is None else relaxation
    course = Annealing(1.0, 0.0, steps, schedule)

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Auxiliary]:
        columns = {
            name: jnp.array(group.ops.index(operation), jnp.int32)
            for name, group in spec.items()
            if operation in group.ops
        }
        if not columns:
            raise UserError(f"auxiliary skip: expected a group with the operation {operation!r}, got none: add it")
        alpha, state = inner.init(key, spec)
        return alpha, Auxiliary(state, course.init(), columns)

    def expected(alpha: Alpha, state: Auxiliary) -> Weights:
        return inner.expected(alpha, state.inner)

    def weights(key: PRNGKey, alpha: Alpha, state: Auxiliary) -> Mixture:
        mixture = inner.weights(key, alpha, state.inner)
        return {
            name: _beside(rows, state.columns[name], state.beta.value) if name in state.columns else rows
            for name, rows in mixture.items()
        }

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Auxiliary) -> tuple[Alpha, Auxiliary]:
        alpha, inner_state = inner.advance(key, before, after, state.inner)
        return alpha, Auxiliary(inner_state, course.advance(state.beta), state.columns)

    return Relaxation(init, weights, expected, advance)


def _beside(rows: Array | Paths, column: Array, beta: Array) -> Array | Paths:
    if isinstance(rows, Paths):
        return _beside_paths(rows, column, beta)
    return rows + beta * jax.nn.one_hot(column, rows.shape[-1], dtype=rows.dtype)


def _beside_paths(paths: Paths, column: Array, beta: Array) -> Paths:
    ops = paths.weights.shape[-1]
    computed = jax.nn.one_hot(paths.active, ops).sum(axis=-2) > 0
    # A weight that was not to be computed must not count once its column is.
    weights = jnp.where(computed, paths.weights, 0.0)
    weights = weights + beta * jax.nn.one_hot(column, ops, dtype=weights.dtype)
    if paths.active.shape[-1] == ops:
        return Paths(weights, paths.active)
    # Active columns are all different: where the skip connection is one already, another joins with weight 0.
    other = jnp.where(computed[:, column], jnp.argmin(computed, axis=-1), column)
    return Paths(weights, jnp.concatenate([paths.active, other[:, None].astype(paths.active.dtype)], axis=-1))
