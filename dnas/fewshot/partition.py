"""Dividing the operations of an edge among sub-supernets, and choosing the edge.

Few-shot NAS (Zhao et al., arXiv:2006.06863) gives every operation a sub-supernet of its own. GM-NAS (Hu et al.,
arXiv:2203.15207) keeps together those whose gradients agree: the groups with the least sum of distances within them,
found by trying all. Sizes and both rules for the edge are those of the reference code (skhu101/GM-NAS,
`mincut_split_201`, `mincut_split_darts` and `split_supernet`).
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple, TypeVar

import numpy as np

from dnas.errors import UserError, unknown

Key = TypeVar("Key")
RULES = ("cut", "within")


class Partition(NamedTuple):
    """Operations in groups.

    Attributes:
        groups: columns of the operations of each group, in increasing order.
        within: sum of the distances between operations of the same group.
        cut: sum of those between operations of different groups.
    """

    groups: tuple[tuple[int, ...], ...]
    within: float
    cut: float


def partition(distances: np.ndarray, groups: int = 2, smallest: int = 2) -> Partition:
    """Return the division into `groups` groups with the least sum of distances within them, by trying all.

    For five operations, two groups of at least two are the 2 and 3 of the reference code on NAS-Bench-201; on DARTS it
    asks for at least two as well. Of equally good divisions the first is taken, in the order in which the group of
    operation 0 grows and then goes through its members in increasing order.

    Args:
        distances: `(K, K)`, symmetric; the diagonal does not count.
        groups: how many.
        smallest: least number of operations in a group.

    Raises:
        UserError: if `distances` is not square, finite and symmetric, or K operations do not fill the groups.
    """
    distances = np.asarray(distances, np.float64)
    count = len(distances)
    if distances.shape != (count, count) or not np.allclose(distances, distances.T, atol=1e-6):
        raise UserError(f"distances: expected a symmetric matrix of finite numbers, got one of shape {distances.shape}")
    if groups < 1 or smallest < 1 or groups * smallest > count:
        raise UserError(
            f"groups: expected at least 1 group of at least 1 operation, and no more than {count} operations in all, "
            f"got {groups} groups of at least {smallest}"
        )
    total = _inner(distances, tuple(range(count)))
    within, best = min(
        ((sum(_inner(distances, part) for part in parts), parts) for parts in _partitions(count, groups, smallest)),
        key=lambda scored: scored[0],
    )
    return Partition(best, within, total - within)


def exhaustive(ops: int) -> Partition:
    """Return the division of few-shot NAS: every one of `ops` operations by itself."""
    return Partition(tuple((column,) for column in range(ops)), 0.0, 0.0)


def choose_edge(partitions: Mapping[Key, Partition], rule: str = "cut") -> Key:
    """Return the edge to split; equally good ones: the first.

    Args:
        partitions: the best division of each edge that could be split.
        rule: `cut`, the largest sum between the groups (the reference code on NAS-Bench-201), or `within`, the smallest
            sum within them (the reference code on DARTS).

    Raises:
        UserError: if there is no edge, or `rule` is none of the two.
    """
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    if not partitions:
        raise UserError("partitions: expected those of at least one edge, got none; every edge has been split")
    if rule == "cut":
        return max(partitions, key=lambda edge: partitions[edge].cut)
    return min(partitions, key=lambda edge: partitions[edge].within)


def _inner(distances: np.ndarray, part: tuple[int, ...]) -> float:
    return float(distances[np.ix_(part, part)][np.triu_indices(len(part), 1)].sum())


def _partitions(count: int, groups: int, smallest: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Yield every division of `range(count)` once, groups in the order of their least members."""

    def divide(left: tuple[int, ...], groups: int) -> Iterator[tuple[tuple[int, ...], ...]]:
        if groups == 1:
            yield (left,)
            return
        first, rest = left[0], left[1:]
        for size in range(smallest, len(left) - smallest * (groups - 1) + 1):
            for others in combinations(rest, size - 1):
                remaining = tuple(item for item in rest if item not in others)
                for parts in divide(remaining, groups - 1):
                    yield ((first, *others), *parts)

    return divide(tuple(range(count)), groups)
