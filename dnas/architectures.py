"""How many architectures a space holds, from its groups alone."""

from itertools import pairwise
from math import prod

from dnas.costs import can_be_kept
from dnas.types import Group, Spec


def architectures(spec: Spec) -> int:
    """Return the number of genotypes that `top_edges` can keep, exactly.

    Genotypes are counted and not functions: two that compute the same, because a cell's nodes can be renumbered, count
    twice, as in the numbers that the papers of cell spaces give.

    >>> from search_spaces import nasbench201
    >>> architectures(nasbench201.space(classes=10).spec)
    15625
    """
    return prod(_cells(group) for group in spec.values())


def _cells(group: Group) -> int:
    operations = can_be_kept(group).sum(axis=1).tolist()
    if group.path:
        return _paths(group, operations)
    if group.keep is None:
        return prod(operations)
    return prod(_subsets([operations[edge] for edge, _ in incoming], group.keep) for incoming in group.nodes)


def _subsets(operations: list[int], keep: int) -> int:
    """Return the ways to keep `keep` of the edges with an operation on each: an elementary symmetric polynomial."""
    # Where fewer edges enter than are kept, all of them are.
    keep = min(keep, len(operations))
    ways = [1] + [0] * keep
    for number in operations:
        ways = [1, *(more + number * fewer for fewer, more in pairwise(ways))]
    return ways[keep]


def _paths(group: Group, operations: list[int]) -> int:
    """Return the ways from any input to the last node, by the number of those to each state before it."""
    (last,) = group.concat
    ways = [1] * (last + 1 - len(group.nodes))
    for incoming in group.nodes:
        ways.append(sum(operations[edge] * ways[source] for edge, source in incoming))
    return ways[last]
