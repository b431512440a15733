"""The architectures that a search thinks most of, of which one is to be kept."""

from collections.abc import Iterator
from itertools import chain

import jax

from dnas.genotype import Genotype
from dnas.hardware.live import live
from dnas.types import PRNGKey, Search, SearchState

MOST = 64
"""Most finalists of a search."""
TRIES = 20
"""Draws for each finalist that is wanted, after which a search counts as certain of those that were found."""


def finalists(search: Search, state: SearchState, count: int, key: PRNGKey) -> list[Genotype]:
    """Return up to `count` architectures of different networks; the first is the search's own choice.

    A search that compared architectures names its best. Of any other they are what its selection keeps when Gumbel
    noise is added to `alpha`: an operation is then kept with the probability that softmax gives it, as far as the space
    and its limits allow (perturb-and-MAP, Papandreou and Yuille, ICCV 2011). There are fewer where selection does not
    depend on `alpha`, or hardly. Runs on the host.

    Args:
        search: the search.
        state: what it ended in.
        count: how many are wanted.
        key: makes the noise.
    """
    space, found = search.space, dict[object, Genotype]()
    for genotype in chain([search.select(state)], _others(search, state, count, key)):
        if len(found) >= count:
            break
        # Networks that differ in edges on which no output depends are the same once they are compiled.
        found.setdefault(space.content(live(space.spec, genotype)), genotype)
    return list(found.values())


def _others(search: Search, state: SearchState, count: int, key: PRNGKey) -> Iterator[Genotype]:
    if search.candidates is not None:
        return iter(search.candidates(state, MOST))
    return (drawn(search, state, jax.random.fold_in(key, index)) for index in range(TRIES * count))


def drawn(search: Search, state: SearchState, key: PRNGKey) -> Genotype:
    """Return what a search's selection keeps with Gumbel noise on `alpha`."""
    keys = jax.random.split(key, len(jax.tree.leaves(state.alpha)))
    keys = jax.tree.unflatten(jax.tree.structure(state.alpha), list(keys))
    noisy = jax.tree.map(lambda leaf, own: leaf + jax.random.gumbel(own, leaf.shape, leaf.dtype), state.alpha, keys)
    return search.select(state._replace(alpha=noisy))
