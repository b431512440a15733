"""Any relaxation on a supernet of which some edges are decided already."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dnas.relaxations.softmax import softmax
from dnas.selection.perturbation import Projected, merge, start
from dnas.types import Alpha, Array, Mixture, PRNGKey, Relaxation, Spec, Weights


class Projection(NamedTuple):
    """What a projected relaxation carries.

    Attributes:
        inner: state of the wrapped relaxation.
        weights: for each group `(edges, ops)`, the weights of decided edges.
        decided: for each group `(edges,)` bool, which they are.
    """

    inner: Any
    weights: Mapping[str, Array]
    decided: Mapping[str, Array]


def projected(relaxation: Relaxation | None = None) -> Relaxation:
    """Return `relaxation` with the rows of decided edges fixed; at first none is (DARTS-PT, arXiv:2108.04392).

    No gradient reaches the architecture parameters of a decided edge.

    Args:
        relaxation: what gives the weights of the other edges, of all operations; `softmax()` if it is `None`.

    Raises:
        UserError: from `weights`, if the relaxation samples paths.
    """
    inner = softmax() if relaxation is None else relaxation

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Projection]:
        alpha, state = inner.init(key, spec)
        return alpha, Projection(state, *jax.tree.map(jnp.asarray, start(spec)))

    def weights(key: PRNGKey, alpha: Alpha, state: Projection) -> Mixture:
        return merge(_decisions(state), inner.weights(key, alpha, state.inner))  # type: ignore[arg-type]

    def expected(alpha: Alpha, state: Projection) -> Weights:
        return merge(_decisions(state), inner.expected(alpha, state.inner))

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Projection) -> tuple[Alpha, Projection]:
        alpha, own = inner.advance(key, before, after, state.inner)
        return alpha, state._replace(inner=own)

    return Relaxation(init, weights, expected, advance)


def decisions(state: Any) -> Projected:
    """Return what is decided in a relaxation's state, however it is wrapped."""
    return _decisions(_found(state)[0])


def decide(state: Any, made: Projected) -> Any:
    """Return a relaxation's state with these decisions in it."""
    fixed = {"weights": jax.tree.map(jnp.asarray, made.weights), "decided": jax.tree.map(jnp.asarray, made.decided)}
    return jax.tree.map(
        lambda part: part._replace(**fixed) if isinstance(part, Projection) else part, state, is_leaf=_is_projection
    )


def _found(state: Any) -> list[Projection]:
    return [part for part in jax.tree.leaves(state, is_leaf=_is_projection) if isinstance(part, Projection)]


def _is_projection(part: Any) -> bool:
    return isinstance(part, Projection)


def _decisions(state: Projection) -> Projected:
    return Projected(state.weights, state.decided)  # type: ignore[arg-type]
