"""Searches that end with a comparison of architectures, instead of with what was learnt of operations."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from dnas.genotype import Genotype
from dnas.parts import keep
from dnas.selection.evolution import Evolution, Scores, by_rank, effects, evolve
from dnas.selection.one_hot import one_hot
from dnas.selection.top_edges import top_edges
from dnas.types import Array, Between, Course, PRNGKey, Search, SearchState


def evolving(
    search: Search, epochs: int, steps: int, evolution: Evolution, scores: Callable[[SearchState, Between], Scores]
) -> Search:
    """Return a search at whose end the best architecture is looked for by evolution.

    `alpha`, which the search's own steps leave alone, then is what each operation adds to an architecture's score, by
    least squares, in standard deviations, so that operation weights say roughly what the scores do; the best
    architecture itself is in the state's `memory`.

    Args:
        search: what comes before.
        epochs: its length.
        steps: its steps.
        evolution: how architectures are looked for.
        scores: `(state, between) -> Scores` of architectures.
    """
    space = search.space
    evolution.check()

    def init(key: PRNGKey, x: Array) -> SearchState:
        state = search.init(key, x)
        return state._replace(memory=jax.tree.map(jnp.zeros_like, dict(state.alpha)))

    def turn(state: SearchState, between: Between) -> SearchState:
        if int(state.step) != steps:
            return state
        rng = np.random.default_rng(np.asarray(jax.random.key_data(state.key)))
        told = partial(between.told, "comparing architectures, generation")
        scored = by_rank(evolve(space, scores(state, between), rng, evolution, told=told))
        best = one_hot(space.spec, next(iter(scored)))
        as_arrays = [
            {name: jnp.asarray(rows) for name, rows in own.items()} for own in (effects(space.spec, scored), best)
        ]
        return state._replace(alpha=as_arrays[0], memory=as_arrays[1])

    def select(state: SearchState) -> Genotype:
        """Return the best architecture that was scored; before any was, what the weights say."""
        best = jax.device_get(state.memory) or {}
        return keep(space, top_edges, best) if any(rows.any() for rows in best.values()) else search.select(state)

    return search._replace(init=init, select=select, course=Course(epochs=epochs, turn=turn))
