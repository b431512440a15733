"""Sub-supernets that are trained together: the states of one search, stacked, and stepped under `vmap`.

Few-shot NAS (Zhao et al., arXiv:2006.06863) and GM-NAS (Hu et al., arXiv:2203.15207) train sub-supernets one after the
other, each on minibatches of its own; here all of them see the same minibatches. Key, step and memory are shared.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.errors import UserError
from dnas.fewshot.masks import Masks
from dnas.genotype import Genotype
from dnas.relaxations.masked import allow, allowed
from dnas.selection.one_hot import one_hot
from dnas.types import Array, Batches, Between, PRNGKey, Search, SearchInfo, SearchState, Variables, Weights

AXES = SearchState(0, 0, 0, 0, 0, 0, 0, key=None, step=None, memory=None, charge=0)  # type: ignore[arg-type]
"""Which parts of a state are stacked along a first axis."""


class Memory(NamedTuple):
    """The `memory` of a search whose supernet is split into N.

    Attributes:
        accuracies: `(N,)` validation accuracy of the architecture that each selects, with its weights; 0 at first.
        losses: `(N,)`, the same of its loss.
        children: for each group `(N, parts, edges, ops)` bool, masks of what each is divided into once that is decided;
            parts that allow nothing are none. `None` where it is not divided.
    """

    accuracies: Array
    losses: Array
    children: Mapping[str, Array] | None = None


def together(search: Search) -> Search:
    """Return the search of N sub-supernets as one program; its state is what `inherit` or `restart` returns.

    The reported losses and accuracies are means over the sub-supernets. What is read off a state is that of the best
    sub-supernet: of the highest accuracy in its memory, and of the lowest loss among equals; `variables` are those of
    the best sub-supernet that allows the architecture.

    Args:
        search: whose relaxation is `masked`.
    """

    def step(state: SearchState, batches: Batches) -> tuple[SearchState, SearchInfo]:
        state, infos = jax.vmap(search.step, (AXES, None), (AXES, 0))(state, batches)
        return state, SearchInfo(*(values.mean() for values in infos))

    def weights(state: SearchState) -> Weights:
        return search.weights(_best(state))

    def predict(state: SearchState, x: Array) -> Array:
        return search.predict(_best(state), x)

    def select(state: SearchState) -> Genotype:
        return search.select(_best(state))

    def variables(state: SearchState, genotype: Genotype) -> Variables:
        index = _holding(state, one_hot(search.space.spec, genotype))
        return jax.tree.map(lambda leaf: leaf[index], Variables(state.params, state.stats))

    return search._replace(step=step, weights=weights, predict=predict, select=select, variables=variables)


def inherit(state: SearchState, parents: Sequence[SearchState], children: Sequence[Masks]) -> SearchState:
    """Return the stacked state of sub-supernets that take everything but their masks from their parents.

    Args:
        state: gives key and step.
        parents: for each sub-supernet, the state that it was a part of.
        children: for each, what it may choose.
    """
    own = [
        parent._replace(relaxation=allow(parent.relaxation, masks), key=(), step=(), memory=())  # type: ignore[arg-type]
        for parent, masks in zip(parents, children, strict=True)
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *own)
    return _shared(stacked, state, len(own))


def restart(search: Search, key: PRNGKey, x: Array, state: SearchState, children: Sequence[Masks]) -> SearchState:
    """Return the stacked state of sub-supernets that begin anew, each with weights and alpha of its own.

    Args:
        search: a sub-supernet's search.
        key: for the initial values.
        x: `(B, H, W, C)` example input.
        state: gives key and step.
        children: for each sub-supernet, what it may choose.
    """
    fresh = jax.vmap(search.init, (0, None))(jax.random.split(key, len(children)), x)
    masks = {name: np.stack([child[name] for child in children]) for name in children[0]}
    return _shared(fresh._replace(relaxation=allow(fresh.relaxation, masks)), state, len(children))


def part(state: SearchState, index: int | Array) -> SearchState:
    """Return one sub-supernet of a stacked state, as a state of the search that was stacked, without memory."""
    own = state._replace(key=(), step=(), memory=())  # type: ignore[arg-type]
    taken: SearchState = jax.tree.map(lambda leaf: leaf[index], own)
    return taken._replace(key=state.key, step=state.step)


def scored(search: Search, supernets: Sequence[SearchState], memory: Memory, between: Between) -> Memory:
    """Return the memory with the present score of what each sub-supernet selects, on all validation data."""
    found = []
    for own in supernets:
        candidate = one_hot(search.space.spec, search.select(own))
        found.append(between.scores(own, {name: rows[None] for name, rows in candidate.items()}))
    accuracies, losses = (jnp.asarray(np.concatenate(values), jnp.float32) for values in zip(*found, strict=True))
    return memory._replace(accuracies=accuracies, losses=losses)


def _shared(stacked: SearchState, state: SearchState, count: int) -> SearchState:
    return stacked._replace(key=state.key, step=state.step, memory=Memory(jnp.zeros(count), jnp.zeros(count)))


def _best(state: SearchState) -> SearchState:
    accuracies, losses = state.memory.accuracies, state.memory.losses
    return part(state, jnp.argmin(jnp.where(accuracies == accuracies.max(), losses, jnp.inf)))


def _holding(state: SearchState, architecture: Weights) -> int:
    """Return the best sub-supernet whose masks allow all operations of an architecture."""
    masks = {name: np.asarray(mask) for name, mask in allowed(state.relaxation).items()}
    fits = np.all(
        [(mask | (np.asarray(architecture[name]) == 0)).all(axis=(1, 2)) for name, mask in masks.items()], axis=0
    )
    if not fits.any():
        raise UserError(
            "an architecture has operations that no sub-supernet allows together: take one that the split space holds"
        )
    order = np.lexsort((state.memory.losses, -np.asarray(state.memory.accuracies)))
    return int(next(index for index in order if fits[index]))
