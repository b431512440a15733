"""A search whose supernet is split again and again, as stages: first one supernet, then all parts together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.fewshot.divide import Divide
from dnas.fewshot.masks import Masks, all_allowed
from dnas.fewshot.together import Memory, inherit, part, restart, scored, together
from dnas.relaxations.masked import allowed
from dnas.types import Array, Between, Course, PRNGKey, Search, SearchState

Begin = Callable[[PRNGKey, Array], SearchState]


class Splitting(NamedTuple):
    """When and how a supernet is split.

    Attributes:
        ends: epochs at the end of which it is, increasing, each before the last.
        epochs: epochs in all.
        divide: how.
        most: parts of one supernet in one split, at most.
        restart: whether the sub-supernets of the last split begin anew.
    """

    ends: tuple[int, ...]
    epochs: int
    divide: Divide
    most: int
    restart: bool


def split_epochs(splits: int, share: float, epochs: int) -> tuple[int, ...]:
    """Return the epochs after which to split, evenly spread over a share of the search and each before its end.

    Splits that would fall into one epoch are one.
    """
    asked = (round(share * epochs * (number + 1) / splits) for number in range(splits))
    return tuple(sorted({min(max(1, epoch), epochs - 1) for epoch in asked} - {0}))


def few_shot(supernet: Callable[[int], Search], splitting: Splitting, steps_per_epoch: int) -> Search:
    """Return the search that begins with one supernet and ends with many.

    At the end of each epoch, what every sub-supernet selects is scored on the validation data, and where a split is due
    its masks are put into the state's memory; the next stage is made of them alone.

    Args:
        supernet: `(first) -> Search`: one supernet's search, its relaxation `masked`, its schedules made for the epochs
            from `first` on; `first` is 0 unless it begins anew.
        splitting: when and how.
        steps_per_epoch: steps in an epoch.
    """
    ends = (*splitting.ends, splitting.epochs)

    def stage(number: int, search: Search, begin: Begin) -> Search:
        last, stacked = number == len(splitting.ends), number > 0

        def init(key: PRNGKey, x: Array) -> SearchState:
            state = begin(key, x)
            return state if last else _expecting(search, state, splitting.most)

        def turn(state: SearchState, between: Between) -> SearchState:
            supernets = _supernets(state, stacked)
            memory = scored(search, supernets, state.memory, between) if len(supernets) > 1 else state.memory
            if not last and int(state.step) // steps_per_epoch == ends[number]:
                parts = [splitting.divide(number, own, _masks(search, own), between) for own in supernets]
                memory = memory._replace(children=_filled(parts, splitting.most))
            return state._replace(memory=memory)

        def then(state: SearchState, between: Between) -> Search | None:
            del between
            parents, children = _family(_supernets(state, stacked), state.memory.children)
            if splitting.restart and number + 1 == len(splitting.ends):
                fresh = supernet(ends[number])
                return stage(number + 1, fresh, lambda key, x: restart(fresh, key, x, state, children))
            return stage(number + 1, search, lambda key, x: inherit(state, parents, children))

        def note(state: SearchState) -> dict[str, Any]:
            return {"supernets": len(state.memory.accuracies)}

        course = Course(epochs=ends[number], turn=turn, then=None if last else then, note=note)
        return (together(search) if stacked else search)._replace(init=init, course=course)

    first = supernet(0)

    def begin(key: PRNGKey, x: Array) -> SearchState:
        return first.init(key, x)._replace(memory=Memory(jnp.zeros(1), jnp.zeros(1)))

    return stage(0, first, begin)


def _expecting(search: Search, state: SearchState, most: int) -> SearchState:
    """Return the state with room in its memory for the masks of a split."""
    count = len(state.memory.accuracies)
    empty = {
        name: jnp.zeros((count, most, group.edges, len(group.ops)), bool) for name, group in search.space.spec.items()
    }
    return state._replace(memory=state.memory._replace(children=empty))


def _supernets(state: SearchState, stacked: bool) -> list[SearchState]:
    """Return the supernets of a state on their own."""
    return [part(state, index) for index in range(len(state.memory.accuracies))] if stacked else [state]


def _masks(search: Search, supernet: SearchState) -> Masks:
    """Return what a supernet may choose of what the space offers."""
    own = allowed(supernet.relaxation)
    return {name: np.asarray(own[name]) & offered for name, offered in all_allowed(search.space.spec).items()}


def _filled(parts: Sequence[Sequence[Masks]], most: int) -> Mapping[str, Array]:
    """Return the masks of all parts as arrays, filled up with parts that allow nothing."""
    none = jax.tree.map(np.zeros_like, dict(parts[0][0]))
    rows = [[dict(masks) for masks in own] + [none] * (most - len(own)) for own in parts]
    stacked = [jax.tree.map(lambda *leaves: np.stack(leaves), *own) for own in rows]
    filled: Mapping[str, Array] = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *stacked)
    return filled


def _family(supernets: Sequence[SearchState], children: Mapping[str, Array]) -> tuple[list[SearchState], list[Masks]]:
    """Return, for each sub-supernet to be, the one that it was a part of and its masks."""
    parents: list[SearchState] = []
    masks: list[Masks] = []
    stacked = {name: np.asarray(rows) for name, rows in children.items()}
    most = len(next(iter(stacked.values()))[0])
    for index, supernet in enumerate(supernets):
        for place in range(most):
            own = {name: rows[index, place] for name, rows in stacked.items()}
            if all(rows.any() for rows in own.values()):
                parents.append(supernet)
                masks.append(own)
    return parents, masks
