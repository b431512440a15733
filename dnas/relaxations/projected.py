"""Any relaxation on a supernet of which some edges are decided already."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dnas.relaxations._wrapped import outermost, replaced
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
    return _decisions(outermost(state, Projection))


def decide(state: Any, made: Projected) -> Any:
    """Return a relaxation's state with these decisions in it."""
    weights, decided = jax.tree.map(jnp.asarray, tuple(made))
    return replaced(state, Projection, weights=weights, decided=decided)


def _decisions(state: Projection) -> Projected:
    return Projected(state.weights, state.decided)  # type: ignore[arg-type]
