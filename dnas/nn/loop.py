"""Loops over the edges of a cell that read and fill a buffer of states, with a derivative of their own.

What automatic differentiation keeps for a `lax.scan` is every intermediate array of every turn, the buffer itself
among them. But a state does not change once it is complete, so that the final buffer already holds the input of every
edge. Here that buffer is all that is kept, and the backward pass computes each edge again.

The outer loop runs over the states that edges leave, the inner one over the edges that leave a state: what depends on
the state alone is computed once for all of them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import lax

from dnas.macs import happening
from dnas.nn.apart import apart
from dnas.nn.packing import Packing

Tree = Any


class Edge(Protocol):
    """What one edge computes; equal edges must compare and hash equal, so that they are traced once."""

    def share(self, x: jax.Array) -> Tree:
        """Return what all edges that leave the state `x` have in common, differentiable with respect to `x`."""
        ...

    def __call__(
        self, params: Tree, stats: Tree, shared: Tree, weights: jax.Array, active: jax.Array | None
    ) -> tuple[jax.Array, Tree]:
        """Return the edge's value and new batch statistics."""
        ...


class Edges(NamedTuple):
    """Which states edges join: for each of S sources the at most M edges that leave it.

    Attributes:
        source: `(S,)` indices of states.
        target: `(S, M)` indices of states.
        present: `(S, M)` bool, false for filling.
        weights: `(S, M, K)` operation weights.
        active: `(S, M, P)` the operations that are computed; `None` computes all.
    """

    source: jax.Array
    target: jax.Array
    present: jax.Array
    weights: jax.Array
    active: jax.Array | None


class Packings(NamedTuple):
    """How the parameters and batch statistics of each of so many edges lie in vectors."""

    params: Packing
    stats: Packing
    edges: int

    def counted(self, function: Callable[..., Tree], edges: Edges) -> Callable[..., Tree]:
        """Return the function so that a count of multiply-adds leaves out filling."""
        return happening(function, self.edges, edges.present.size)


class Loops(NamedTuple):
    """What loops over edges read.

    Attributes:
        params: `(S, M, n)`, packed parameters of the edges.
        stats: `(S, M, m)`, packed batch statistics; no derivative is taken with respect to them, nor through the new
            ones.
        sources: `(S, ...)` states to read from; `None` reads from the buffer that is filled, and the sources must then
            stand in an order in which each is complete when its turn comes.
        edges: where each edge leads.
    """

    params: jax.Array
    stats: jax.Array
    sources: jax.Array | None
    edges: Edges


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def edge_loops(edge: Edge, packings: Packings, states: jax.Array, loops: Loops) -> tuple[jax.Array, jax.Array]:
    """Run all edges; each adds its value to a state.

    Args:
        edge: computes one of them.
        packings: of its parameters and statistics.
        states: buffer of states.
        loops: sources, parameters and where edges lead.

    Returns:
        The filled buffer and the new statistics, packed, `(S, M, m)`.
    """
    return _fill(edge, packings, states, loops)


def _fill(edge: Edge, packings: Packings, states: jax.Array, loops: Loops) -> tuple[jax.Array, jax.Array]:
    own_run = packings.counted(partial(_run, packings, edge), loops.edges)

    def leave(states: jax.Array, turn: Any) -> tuple[jax.Array, jax.Array]:
        params, stats, (source, *table) = turn
        x = (states if loops.sources is None else loops.sources)[source]
        shared = apart(source >= 0, partial(_share, edge), x)

        def run(states: jax.Array, own: Any) -> tuple[jax.Array, jax.Array]:
            params, stats, (target, present, weights, active) = own
            value, stats = apart(present, own_run, params, stats, shared, weights, active)
            return states.at[target].add(value), stats

        return lax.scan(run, states, (params, stats, tuple(table)))

    return lax.scan(leave, states, (loops.params, loops.stats, loops.edges))


# Jitted with the edge as a static argument, so that cells of equal size share one trace.
@partial(jax.jit, static_argnums=0)
def _share(edge: Edge, x: jax.Array) -> Tree:
    return edge.share(x)


@partial(jax.jit, static_argnums=(0, 1))
def _run(
    packings: Packings,
    edge: Edge,
    params: jax.Array,
    stats: jax.Array,
    shared: Tree,
    weights: jax.Array,
    active: jax.Array | None,
) -> tuple[jax.Array, jax.Array]:
    trees = packings.params.unpack(params), packings.stats.unpack(stats)
    value, after = edge(*trees, shared, weights, active)
    return value, packings.stats.pack(after)


@partial(jax.jit, static_argnums=(0, 1))
def _run_back(
    packings: Packings,
    edge: Edge,
    params: jax.Array,
    stats: jax.Array,
    shared: Tree,
    weights: jax.Array,
    active: jax.Array | None,
    cotangent: jax.Array,
) -> tuple[jax.Array, Tree, jax.Array]:
    before = packings.stats.unpack(stats)

    def value(params: Tree, shared: Tree, weights: jax.Array) -> jax.Array:
        return edge(params, before, shared, weights, active)[0]

    of_params, of_shared, of_weights = jax.vjp(value, packings.params.unpack(params), shared, weights)[1](cotangent)
    return packings.params.pack(of_params), of_shared, of_weights


@partial(jax.jit, static_argnums=0)
def _share_back(edge: Edge, x: jax.Array, cotangent: Tree) -> jax.Array:
    return jax.vjp(edge.share, x)[1](cotangent)[0]


def _forward(
    edge: Edge, packings: Packings, states: jax.Array, loops: Loops
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, Loops]]:
    states, stats = _fill(edge, packings, states, loops)
    return (states, stats), (states, loops)


def _backward(
    edge: Edge, packings: Packings, residuals: tuple[jax.Array, Loops], cotangents: tuple[jax.Array, jax.Array]
) -> tuple[Any, ...]:
    states, loops = residuals
    # What flows back to the sources goes into the buffer of the states where they are the same.
    of_sources = None if loops.sources is None else jnp.zeros_like(loops.sources)
    own_run = packings.counted(partial(_run_back, packings, edge), loops.edges)

    def leave(carry: tuple[jax.Array, jax.Array | None], turn: Any) -> tuple[Any, Tree]:
        of_states, of_sources = carry
        params, stats, (source, *table) = turn
        x = (states if loops.sources is None else loops.sources)[source]
        shared = apart(source >= 0, partial(_share, edge), x)

        def run(of_shared: Tree, own: Any) -> tuple[Tree, Tree]:
            params, stats, (target, present, weights, active) = own
            of_params, of_own, of_weights = apart(
                present,
                own_run,
                params,
                stats,
                shared,
                weights,
                active,
                of_states[target],
            )
            return jax.tree.map(jnp.add, of_shared, of_own), (of_params, of_weights)

        of_shared, gradients = lax.scan(run, jax.tree.map(jnp.zeros_like, shared), (params, stats, tuple(table)))
        of_x = apart(source >= 0, partial(_share_back, edge), x, of_shared)
        if of_sources is None:
            of_states = of_states.at[source].add(of_x)
        else:
            of_sources = of_sources.at[source].add(of_x)
        return (of_states, of_sources), gradients

    turns = (loops.params, loops.stats, loops.edges)
    carry, (of_params, of_weights) = lax.scan(leave, (cotangents[0], of_sources), turns, reverse=True)
    of_states, of_sources = carry
    of_edges = Edges(None, None, None, of_weights, None)  # type: ignore[arg-type]
    return of_states, Loops(of_params, None, of_sources, of_edges)  # type: ignore[arg-type]


edge_loops.defvjp(_forward, _backward)
