"""A loop over edges that reads and fills a buffer of states, with a derivative of its own.

What automatic differentiation keeps for a `lax.scan` is every intermediate array of every turn, the buffer itself
among them. But a state does not change once it is complete, so that the final buffer already holds the input of every
edge. Here that buffer is all that is kept, and the backward pass computes each edge again.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

Tree = Any

Edge = Callable[[Tree, Tree, jax.Array, jax.Array], tuple[jax.Array, Tree]]
"""`(params, stats, x, weights) -> (y, stats)`: one edge's value and new batch statistics."""


class Edges(NamedTuple):
    """Which states E edges join, and with which operation weights: `(E,)`, `(E,)` and `(E, K)`."""

    source: jax.Array
    target: jax.Array
    weights: jax.Array


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def edge_loop(
    edge: Edge, params: Tree, stats: Tree, states: jax.Array, sources: jax.Array | None, edges: Edges
) -> tuple[jax.Array, Tree]:
    """Run E edges in order; each adds its value to a state.

    Args:
        edge: computes one of them.
        params: of all edges, stacked along a leading axis.
        stats: their batch statistics, likewise; no derivative is taken with respect to them, nor through the new ones.
        states: `(S, ...)` buffer.
        sources: `(S, ...)` states to read from; `None` reads from `states`, and an edge must then come after all that
            lead to its source.
        edges: where each edge leads.

    Returns:
        The filled buffer and the new statistics.
    """

    def turn(states: jax.Array, own: tuple[Tree, Tree, Edges]) -> tuple[jax.Array, Tree]:
        params, stats, (source, target, weights) = own
        x = (states if sources is None else sources)[source]
        value, stats = _apart(edge, source, params, stats, x, weights)
        return states.at[target].add(value), stats

    return lax.scan(turn, states, (params, stats, edges))


def _apart(function: Callable[..., Tree], source: jax.Array, *arguments: Tree) -> Tree:
    """Call a function so that the compiler lets nothing grow together with what is inside it.

    XLA's CPU compiler would otherwise fold the work on one edge into the update of the buffer, which it runs on one
    thread, and read the buffer so late that each turn needs a copy of it.
    """
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, *arguments))
    # Always true, which the compiler does not know.
    return lax.cond(source >= 0, function, lambda *_: nothing, *arguments)


def _forward(
    edge: Edge, params: Tree, stats: Tree, states: jax.Array, sources: jax.Array | None, edges: Edges
) -> tuple[tuple[jax.Array, Tree], Tree]:
    states, stats_after = edge_loop(edge, params, stats, states, sources, edges)
    return (states, stats_after), (params, stats, states, sources, edges)


def _backward(edge: Edge, residuals: Tree, cotangents: tuple[jax.Array, Tree]) -> tuple[Any, ...]:
    params, stats, states, sources, edges = residuals
    of_states = cotangents[0]
    # What flows back to the sources goes into the buffer of the states where they are the same.
    of_sources = None if sources is None else jnp.zeros_like(sources)

    def again(cotangent: jax.Array, params: Tree, stats: Tree, x: jax.Array, weights: jax.Array) -> Tree:
        return jax.vjp(lambda params, x, weights: edge(params, stats, x, weights)[0], params, x, weights)[1](cotangent)

    def turn(carry: tuple[jax.Array, jax.Array | None], own: tuple[Tree, Tree, Edges]) -> tuple[Any, Tree]:
        of_states, of_sources = carry
        params, stats, (source, target, weights) = own
        x = (states if sources is None else sources)[source]
        of_params, of_x, of_weights = _apart(again, source, of_states[target], params, stats, x, weights)
        if of_sources is None:
            of_states = of_states.at[source].add(of_x)
        else:
            of_sources = of_sources.at[source].add(of_x)
        return (of_states, of_sources), (of_params, of_weights)

    carry, (of_params, of_weights) = lax.scan(turn, (of_states, of_sources), (params, stats, edges), reverse=True)
    of_states, of_sources = carry
    return of_params, None, of_states, of_sources, Edges(None, None, of_weights)  # type: ignore[arg-type]


edge_loop.defvjp(_forward, _backward)
