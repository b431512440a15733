"""Random architectures: the baseline that every search has to beat."""

from collections.abc import Callable

import numpy as np

from dnas.genotype import Genotype
from dnas.selection.top_edges import top_edges
from dnas.types import SearchSpace

TRIES = 1000
"""Draws in which rivals are looked for."""


def random_genotype(space: SearchSpace, rng: np.random.Generator) -> Genotype:
    """Draw an architecture uniformly: each node's kept edges, then an operation on each, as `top_edges` may.

    Independent uniform weights make all sets of edges and all operations equally likely under `top_edges`.
    """
    weights = {name: rng.random((group.edges, len(group.ops))) for name, group in space.spec.items()}
    return top_edges(space, weights)  # type: ignore[arg-type]


def rivals(space: SearchSpace, found: Genotype, count: int, draw: Callable[[], Genotype]) -> list[Genotype]:
    """Return up to `count` architectures, of networks different from the found one's and from each other's.

    Fewer are returned where `draw` comes upon no more of them.

    Args:
        space: says which genotypes are one network (`SearchSpace.content`).
        found: what they are held against.
        count: how many are wanted.
        draw: draws one.
    """
    drawn: list[Genotype] = []
    taken = {space.content(found)}
    for _ in range(TRIES):
        if len(drawn) == count:
            break
        genotype = draw()
        if space.content(genotype) not in taken:
            taken.add(space.content(genotype))
            drawn.append(genotype)
    return drawn
