"""The edge normalisation of PC-DARTS (Xu et al., arXiv:1907.05737)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dnas.relaxations.softmax import softmax
from dnas.types import Alpha, Array, Group, Mixture, Paths, PRNGKey, Relaxation, Spec, Weights


class Edges(NamedTuple):
    """What edge normalisation carries.

    Attributes:
        inner: state of the wrapped relaxation.
        heads: for each group with nodes, `(edges,)` int32: the first of the edges that enter the same node as each.
    """

    inner: Any
    heads: Mapping[str, Array]


def edge_normalised(relaxation: Relaxation | None = None, scale: float = 1e-3) -> Relaxation:
    """Return `relaxation` with a learnt weight for each edge, multiplied onto the operation weights of the edge.

    Architecture parameters beta `(edges,)` join `alpha` under the name "<group>/edges"; the weight of an edge is the
    softmax of beta over the edges that enter the same node. It takes part in `expected` too, so that a selection rule
    compares edges by the product, as the authors' code does (PC-DARTS, `model_search.py`). Groups without nodes, whose
    edges do not compete, are left as they are.

    Args:
        relaxation: what gives the operation weights; `softmax()` if it is `None`.
        scale: standard deviation of the normal distribution that beta starts from.
    """
    inner = softmax() if relaxation is None else relaxation

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Edges]:
        key_inner, key_edges = jax.random.split(key)
        alpha, state = inner.init(key_inner, spec)
        competing = {name: group for name, group in spec.items() if group.nodes}
        beta = {
            _edges(name): scale * jax.random.normal(jax.random.fold_in(key_edges, index), (group.edges,))
            for index, (name, group) in enumerate(competing.items())
        }
        return {**alpha, **beta}, Edges(state, {name: _heads(group) for name, group in competing.items()})

    def expected(alpha: Alpha, state: Edges) -> Weights:
        rows = inner.expected(_without_edges(alpha, state), state.inner)
        scales = _scales(alpha, state)
        return {name: rows[name] * scales[name] if name in scales else rows[name] for name in rows}

    def weights(key: PRNGKey, alpha: Alpha, state: Edges) -> Mixture:
        mixture = inner.weights(key, _without_edges(alpha, state), state.inner)
        scales = _scales(alpha, state)
        return {name: _scaled(rows, scales[name]) if name in scales else rows for name, rows in mixture.items()}

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Edges) -> tuple[Alpha, Edges]:
        old, new = (_without_edges(alpha, state) for alpha in (before, after))
        kept, inner_state = inner.advance(key, old, new, state.inner)
        return {**after, **kept}, state._replace(inner=inner_state)

    return Relaxation(init, weights, expected, advance)


def _edges(name: str) -> str:
    return f"{name}/edges"


def _without_edges(alpha: Alpha, state: Edges) -> Alpha:
    own = {_edges(name) for name in state.heads}
    return {name: rows for name, rows in alpha.items() if name not in own}


def _heads(group: Group) -> Array:
    heads = list(range(group.edges))
    for incoming in group.nodes:
        for edge, _ in incoming:
            heads[edge] = incoming[0][0]
    return jnp.array(heads, jnp.int32)


def _scales(alpha: Alpha, state: Edges) -> dict[str, Array]:
    """Return the weight of each edge, `(edges, 1)`, for each group that has nodes."""

    def scale(beta: Array, heads: Array) -> Array:
        rivals = jnp.broadcast_to(beta, (len(beta), len(beta)))
        mass = jax.nn.logsumexp(rivals, axis=-1, where=heads[:, None] == heads)
        return jnp.exp(beta - mass)[:, None]

    return {name: scale(alpha[_edges(name)], heads) for name, heads in state.heads.items()}


def _scaled(rows: Array | Paths, scale: Array) -> Array | Paths:
    return rows._replace(weights=rows.weights * scale) if isinstance(rows, Paths) else rows * scale
