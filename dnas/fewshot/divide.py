"""Where a supernet is divided: one edge, and which of its operations stay together.

GM-NAS (Hu et al., arXiv:2203.15207), as its reference code does it (skhu101/GM-NAS, `split_supernet`): every edge that
is still whole is measured and the best is split. Few-shot NAS (Zhao et al., arXiv:2006.06863) splits an edge drawn at
random into its operations.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from dnas.fewshot.masks import Masks, all_allowed, split
from dnas.fewshot.matching import gradient_distances, operation_gradients, without_own
from dnas.fewshot.partition import choose_edge, exhaustive, partition
from dnas.types import Between, Group, Search, SearchState, Spec, Variables

Edge = tuple[str, int]
"""A group and an edge of it."""
Divide = Callable[[int, SearchState, Masks, Between], tuple[Masks, ...]]
"""`(number, supernet, masks, between) -> masks of its parts`: how split number 0, 1, ... divides one supernet."""


class Matching(NamedTuple):
    """How GM-NAS divides a supernet.

    Attributes:
        groups: parts of an edge.
        smallest: least number of operations in a part, where the edge has enough.
        rule: how the edge is chosen, `cut` or `within`.
        minibatches: over how many distances are averaged.
        hard: whether the one operation of an edge weighs 1 while its gradient is taken.
    """

    groups: int
    smallest: int
    rule: str
    minibatches: int
    hard: bool


def by_matching(search: Search, how: Matching) -> Divide:
    """Return the division by gradient matching, on minibatches of the training images.

    Args:
        search: whose states the supernets are.
        how: the settings.
    """
    space = search.space
    programs = {name: operation_gradients(space, name, how.hard) for name in space.spec}

    def distances(edge: Edge, columns: Sequence[int], supernet: SearchState, between: Between) -> np.ndarray:
        variables, weights = Variables(supernet.params, supernet.stats), search.weights(supernet)
        total = np.zeros((len(columns), len(columns)))
        for index in range(how.minibatches):
            gradients = programs[edge[0]](variables, weights, edge[1], between.batches(index).train)
            total += gradient_distances(without_own(gradients, columns))
        return total / how.minibatches

    def divide(number: int, supernet: SearchState, masks: Masks, between: Between) -> tuple[Masks, ...]:
        del number
        columns = {edge: _columns(masks, edge) for edge in divisible(space.spec, masks, how.groups)}
        partitions = {}
        for edge, own in columns.items():
            smallest = min(how.smallest, len(own) // how.groups)
            partitions[edge] = partition(distances(edge, own, supernet, between), how.groups, smallest)
        edge = choose_edge(partitions, how.rule)
        parts = [[columns[edge][index] for index in group] for group in partitions[edge].groups]
        return split(masks, *edge, _choosable(parts, space.spec[edge[0]]))

    return divide


def one_by_one(spec: Spec, order: int) -> Divide:
    """Return the exhaustive division: split number i takes the i-th edge of a random order, for all supernets alike.

    Args:
        spec: the groups.
        order: seed of the order.
    """
    edges = divisible(spec, all_allowed(spec), 2)
    shuffled = [edges[int(index)] for index in np.random.default_rng(order).permutation(len(edges))]

    def divide(number: int, supernet: SearchState, masks: Masks, between: Between) -> tuple[Masks, ...]:
        del supernet, between
        edge = shuffled[number]
        columns = _columns(masks, edge)
        parts = [[columns[index] for index in group] for group in exhaustive(len(columns)).groups]
        return split(masks, *edge, _choosable(parts, spec[edge[0]]))

    return divide


def divisible(spec: Spec, masks: Masks, groups: int) -> tuple[Edge, ...]:
    """Return the edges that still have all operations that the space offers there, at least one for each part."""
    return tuple(
        (name, edge)
        for name, offered in all_allowed(spec).items()
        for edge in range(spec[name].edges)
        if (masks[name][edge] == offered[edge]).all() and offered[edge].sum() >= groups
    )


def _columns(masks: Masks, edge: Edge) -> list[int]:
    return [int(column) for column in np.flatnonzero(masks[edge[0]][edge[1]])]


def _choosable(parts: list[list[int]], group: Group) -> list[list[int]]:
    """Return parts of which something can be selected: where edges compete, `none` alone joins another one."""
    lonely = [part for part in parts if group.keep is not None and [group.ops[column] for column in part] == ["none"]]
    others = [part for part in parts if part not in lonely]
    return [sorted(others[0] + lonely[0]), *others[1:]] if lonely and others else parts
