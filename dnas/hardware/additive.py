"""Additive tables of costs that can be counted for any architecture: exact where costs add up, nearest where not."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from dnas.costs import CostTable, cost, differences, is_choice
from dnas.genotype import Genotype
from dnas.hardware.fit import design, fit, predict, quality, unknowns
from dnas.hardware.model import Quality
from dnas.selection import random_genotype
from dnas.types import SearchSpace

CHECKED = 8
"""Random networks on which a table of differences must be right before it counts as exact."""
FEW = 30
"""Networks of a nearest table of a user's own model, each of which is traced anew: what a search keeps is held to its
own cost, and the table only leads it there."""
TOLERANCE = 1e-9


class Additive(NamedTuple):
    """A table and how well it does.

    Attributes:
        table: the table.
        quality: its error on random networks that it was not made of; `None` where it is exact.
    """

    table: CostTable
    quality: Quality | None


def additive(
    space: SearchSpace, actual: Callable[[Genotype], float], *, networks: int = 300, adds_up: bool = True
) -> Additive:
    """Return the additive table of a cost.

    Differences between networks are tried first: if they predict `CHECKED` random networks, they are the table. If not,
    some edges' costs depend on others, and the table is the one that is nearest to `networks` random networks by least
    squares, with costs that are not negative; its quality is measured on half as many others.

    Args:
        space: the space.
        actual: the cost of an architecture, not negative.
        networks: random networks of which a nearest table is made, at least; twice as many as the table has unknowns.
            Where every group is a single choice, `FEW` are enough.
        adds_up: `False` leaves out the differences, where it is known that they will not do.

    Raises:
        UserError: if some edges of the space enter no node.
    """
    rng, actual = np.random.default_rng(0), cache(actual)
    if adds_up:
        table = differences(space, lambda genotype: {"cost": actual(genotype)})["cost"]
        drawn = [random_genotype(space, rng) for _ in range(CHECKED)]
        if all(np.isclose(cost(table, space.spec, one), actual(one), rtol=TOLERANCE, atol=0) for one in drawn):
            return Additive(table, None)
    if all(is_choice(group) for group in space.spec.values()):
        networks = min(networks, FEW)
    networks = max(networks, 2 * unknowns(space.spec))
    drawn = [random_genotype(space, rng) for _ in range(networks + networks // 2)]
    features, costs = design(space.spec, drawn), np.array([actual(one) for one in drawn], np.float64)
    table = fit(space.spec, features[:networks], costs[:networks])
    return Additive(table, quality(costs[networks:], predict(space.spec, table, features[networks:])))
