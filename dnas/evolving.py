"""Searches that end with a comparison of architectures, instead of with what was learnt of operations."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from dnas.finalists import MOST
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
    least squares, in standard deviations, so that operation weights say roughly what the scores do; the best `MOST`
    architectures themselves are in the state's `memory`.

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
        empty = {name: jnp.zeros((MOST, *rows.shape), rows.dtype) for name, rows in state.alpha.items()}
        return state._replace(memory=empty)

    def turn(state: SearchState, between: Between) -> SearchState:
        if int(state.step) != steps:
            return state
        rng = np.random.default_rng(np.asarray(jax.random.key_data(state.key)))
        told = partial(between.told, "comparing architectures, generation")
        scored = by_rank(evolve(space, scores(state, between), rng, evolution, told=told))
        alpha = {name: jnp.asarray(rows) for name, rows in effects(space.spec, scored).items()}
        memory = {name: np.zeros(rows.shape, rows.dtype) for name, rows in state.memory.items()}
        for place, genotype in enumerate(list(scored)[:MOST]):
            for name, rows in one_hot(space.spec, genotype).items():
                memory[name][place] = rows
        return state._replace(alpha=alpha, memory=jax.tree.map(jnp.asarray, memory))

    def select(state: SearchState) -> Genotype:
        """Return the best architecture that was scored; before any was, what the weights say."""
        return next(iter(candidates(state, 1)), None) or search.select(state)

    def candidates(state: SearchState, count: int) -> list[Genotype]:
        held = jax.device_get(state.memory) or {}
        scored = [{name: rows[place] for name, rows in held.items()} for place in range(min(count, MOST))]
        return [keep(space, top_edges, best) for best in scored if any(rows.any() for rows in best.values())]

    return search._replace(init=init, select=select, course=Course(epochs=epochs, turn=turn), candidates=candidates)
