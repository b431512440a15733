"""One softmax over all edges that compete, as sharpDARTS weighs its grid (Hundt, Jain and Hager, arXiv:1903.09900)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from dnas.relaxations._alpha import normal
from dnas.types import Alpha, Array, Group, Mixture, PRNGKey, Relaxation, Spec, Weights

Heads = Mapping[str, Array]
"""For each group, `(edges,)` int32: the first of the edges that each competes with."""


def joint_softmax(scale: float = 1e-3, leading: bool = False) -> Relaxation:
    """Return the relaxation whose operation weights are a softmax over the operations of all competing edges together.

    Edges compete whose nodes have the same sources: all between two levels of a grid, or those of one node of a cell. A
    weak edge can so weigh less than a strong one as a whole, which a softmax over each edge does not allow, and a path
    of greatest weight is one of the edges that matter. This is `arch_weights` of `MultiChannelNetwork` in the authors'
    code (ahundt/sharpDARTS at 6f593d4, `cnn/model_search.py`). Edges that offer a single operation weigh 1, as do those
    to the head there. Groups without nodes have a softmax over each edge.

    Args:
        scale: standard deviation of the normal distribution that `alpha` starts from.
        leading: whether a supernet mixes with 1 - max_j w_j + w_i instead of w_i, the maximum over all that compete, as
            Max-W does; `expected` is the softmax all the same, by which that code selects.
    """

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Heads]:
        return normal(key, spec, scale), {name: _heads(group) for name, group in spec.items()}

    def expected(alpha: Alpha, state: Heads) -> Weights:
        return {name: _softmax(rows, state[name]) for name, rows in alpha.items()}

    def weights(key: PRNGKey, alpha: Alpha, state: Heads) -> Mixture:
        del key
        own = expected(alpha, state)
        # In this order the leading weight is 1 to the last bit.
        return {name: 1.0 + (w - _greatest(w, state[name])) if leading else w for name, w in own.items()}

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Heads) -> tuple[Alpha, Heads]:
        del key, before
        return after, state

    return Relaxation(init, weights, expected, advance)


def _heads(group: Group) -> Array:
    heads = list(range(group.edges))
    first: dict[frozenset[int], int] = {}
    for incoming in group.nodes:
        sources = frozenset(source for _, source in incoming)
        for edge, _ in incoming:
            if group.allowed is None or sum(group.allowed[edge]) > 1:
                heads[edge] = first.setdefault(sources, edge)
    return jnp.array(heads, jnp.int32)


def _softmax(rows: Array, heads: Array) -> Array:
    """Return the softmax of `(edges, ops)` over all entries of the edges that have one head."""
    masses = jax.nn.logsumexp(rows, axis=-1)
    rivals = jnp.broadcast_to(masses, (len(masses), len(masses)))
    return jnp.exp(rows - jax.nn.logsumexp(rivals, axis=-1, where=_same(heads))[:, None])


def _greatest(weights: Array, heads: Array) -> Array:
    """Return for each edge, `(edges, 1)`, the largest weight among the edges that have its head."""
    return jnp.where(_same(heads), weights.max(axis=-1), 0.0).max(axis=-1, keepdims=True)


def _same(heads: Array) -> Array:
    return heads[:, None] == heads
