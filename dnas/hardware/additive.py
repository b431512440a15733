"""Additive tables of costs that can be counted for any architecture: exact where costs add up, nearest where not."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from dnas.costs import CostTable, cost, differences
from dnas.genotype import Genotype
from dnas.hardware.model import Quality
from dnas.selection import one_hot, random_genotype
from dnas.types import SearchSpace, Spec

SHARES = (0.5, 0.75, 0.9, 0.95, 0.99)
"""The shares of networks for which margins are recorded."""
CHECKED = 8
"""Random networks on which a table of differences must be right before it counts as exact."""
TOLERANCE = 1e-9
SHRINKAGE = 0.1
"""How strongly a nearest table's rows are drawn to 0, in networks: decides what the networks leave open."""


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
        networks: random networks of which a nearest table is made.
        adds_up: `False` leaves out the differences, where it is known that they will not do.

    Raises:
        UserError: if some edges of the space enter no node.
    """
    rng = np.random.default_rng(0)
    if adds_up:
        table = differences(space, lambda genotype: {"cost": actual(genotype)})["cost"]
        drawn = [random_genotype(space, rng) for _ in range(CHECKED)]
        if all(np.isclose(cost(table, space.spec, one), actual(one), rtol=TOLERANCE, atol=0) for one in drawn):
            return Additive(table, None)
    drawn = [random_genotype(space, rng) for _ in range(networks)]
    table = nearest(space.spec, drawn, [actual(one) for one in drawn])
    others = [random_genotype(space, rng) for _ in range(max(networks // 2, 2))]
    return Additive(table, agreement([cost(table, space.spec, one) for one in others], [actual(one) for one in others]))


def nearest(spec: Spec, genotypes: Sequence[Genotype], costs: Sequence[float]) -> CostTable:
    """Return the table that predicts architectures best by least squares, without negative costs.

    Args:
        spec: the groups of the space.
        genotypes: architectures.
        costs: their costs.
    """
    counts = np.array([_flat(spec, genotype) for genotype in genotypes])
    scale = max(float(np.mean(costs)), np.finfo(float).tiny)
    # The base is free; rows are drawn to 0 a little, as if by further networks that cost nothing.
    left = np.vstack([np.column_stack([np.ones(len(counts)), counts]), _drawn(counts.shape[1])])
    right = np.concatenate([np.asarray(costs, np.float64) / scale, np.zeros(counts.shape[1])])
    found = optimize.nnls(left, right, maxiter=100 * left.shape[1])[0] * scale
    rows, start = {}, 1
    for name, group in spec.items():
        size = group.edges * len(group.ops)
        rows[name] = found[start : start + size].reshape(group.edges, len(group.ops))
        start += size
    return CostTable(float(found[0]), rows)


def agreement(predicted: Sequence[float], true: Sequence[float]) -> Quality:
    """Return how well predictions, greater than 0, agree with the true costs of as many networks.

    Correlations are 0 where either side does not vary.
    """
    ours, theirs = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    varies = ours.std() > 0 and theirs.std() > 0
    excess = theirs / ours - 1
    return Quality(
        networks=len(ours),
        spearman=float(stats.spearmanr(ours, theirs).statistic) if varies else 0.0,
        kendall=float(stats.kendalltau(ours, theirs).statistic) if varies else 0.0,
        r2=float(1 - np.sum((ours - theirs) ** 2) / np.sum((theirs - theirs.mean()) ** 2)) if varies else 0.0,
        mape=float(np.mean(np.abs(ours / theirs - 1))),
        margins={str(share): float(np.quantile(excess, share)) for share in SHARES},
    )


def _flat(spec: Spec, genotype: Genotype) -> np.ndarray:
    chosen = one_hot(spec, genotype)
    return np.concatenate([np.ravel(chosen[name]) for name in spec]).astype(np.float64)


def _drawn(size: int) -> np.ndarray:
    return np.sqrt(SHRINKAGE) * np.eye(size, size + 1, 1)
