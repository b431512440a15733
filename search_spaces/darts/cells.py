"""What supernet and derived network share: which cell stands where, and how the edges of a cell are numbered."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from dnas.errors import unknown

NORMAL, REDUCE = "normal", "reduce"
INPUTS = 2
"""States 0 and 1 of a cell are the outputs of the two cells before it."""
REDUCTIONS = 2
LEVELS = ("shared", "stages", "cells")
"""How many cells have a choice of their own: one of each kind, one of each kind in a stage, or all."""


class CellPlan(NamedTuple):
    """One cell of a network.

    Attributes:
        group: `normal` or `reduce`, with a number where there are several of a kind.
        channels: channels C of each node.
        stride: stride of the edges that leave the two inputs.
        reduced_before: whether the first input is twice the size of the second.
    """

    group: str
    channels: int
    stride: int
    reduced_before: bool


def plan(
    cells: int, channels: int, reduced_before: bool = False, groups: Iterable[str] = (NORMAL, REDUCE)
) -> tuple[CellPlan, ...]:
    """Lay out `cells` cells: reductions at one and two thirds, each doubling the channels (DARTS, section 3.1.1).

    Args:
        cells: how many.
        channels: channels C of the first.
        reduced_before: whether the network's first input is twice the size of the second.
        groups: the groups of cells; those of another number of cells are taken stage by stage in proportion to depth,
            for a stage without one the last before it.
    """
    plans = []
    for reduction, group in zip(_reductions(cells), _assigned(cells, sorted(groups, key=_depth)), strict=True):
        channels = 2 * channels if reduction else channels
        plans.append(CellPlan(group, channels, 2 if reduction else 1, reduced_before))
        reduced_before = reduction
    return tuple(plans)


def groups(cells: int, levels: str) -> tuple[str, ...]:
    """Return the groups of cells of a supernet, in the order of their depth; `UserError` for unknown `levels`.

    With `cells` a group is numbered by its cell, with `stages` by the reductions before it, a reduction included.
    """
    if levels not in LEVELS:
        raise unknown("levels", levels, LEVELS)
    if levels == "shared":
        return NORMAL, REDUCE
    kinds, numbers, stage = [], [], 0
    for index, reduction in enumerate(_reductions(cells)):
        stage += reduction
        kinds.append(REDUCE if reduction else NORMAL)
        numbers.append(index if levels == "cells" else stage)
    return tuple(dict.fromkeys(f"{kind}_{number}" for kind, number in zip(kinds, numbers, strict=True)))


def kind(group: str) -> str:
    """Return of which kind the cells of a group are, `normal` or `reduce`."""
    return group.partition("_")[0]


def check_groups(names: tuple[str, ...]) -> bool:
    """Whether these are all the groups of a network: one of each kind, or numbered ones of which two are reductions."""
    if sorted(names) == [NORMAL, REDUCE]:
        return True
    numbered = all(re.fullmatch(rf"({NORMAL}|{REDUCE})_(0|[1-9]\d{{0,3}})", name) for name in names)
    kinds = [kind(name) for name in sorted(names, key=_depth)] if numbered else []
    return len(set(names)) == len(names) and kinds.count(REDUCE) == REDUCTIONS and kinds[0] == NORMAL


def _reductions(cells: int) -> tuple[bool, ...]:
    return tuple(index in (cells // 3, 2 * cells // 3) for index in range(cells))


def _depth(group: str) -> tuple[int, bool]:
    """Return what groups are sorted by: with equal numbers, a stage begins with its reduction."""
    number = group.partition("_")[2]
    return int(number or 0), kind(group) == NORMAL


def _assigned(cells: int, names: list[str]) -> list[str]:
    """Return the group of each cell."""
    reduces = [name for name in names if kind(name) == REDUCE]
    if len(reduces) < REDUCTIONS:
        return [REDUCE if reduction else NORMAL for reduction in _reductions(cells)]
    ends = [names.index(name) for name in reduces] + [len(names)]
    searched = [names[begin:end] for begin, end in zip([0, *(end + 1 for end in ends)], ends, strict=False)]
    first, second = cells // 3, 2 * cells // 3
    found: list[str] = []
    last = ""
    for stage, length in enumerate((first, second - first - 1, cells - second - 1)):
        own = searched[stage] or [last]
        found += [reduces[stage - 1]] if stage else []
        found += [own[place * len(own) // length] for place in range(length)]
        last = own[-1]
    return found


def edge(node: int, source: int) -> int:
    """Return the row of `alpha` for the edge from state `source` into node `node` (both counted from 0)."""
    return node * (node + 2 * INPUTS - 1) // 2 + source


def edges(nodes: int) -> int:
    """Return how many edges a cell of `nodes` nodes has: 14 for 4."""
    return edge(nodes, 0)


def loops(stride: int, nodes: int) -> dict[int, tuple[tuple[int, int], ...]]:
    """Return which edges, as (node, source) pairs, run together as one loop: those of equal stride, by stride.

    Edges that leave the two inputs have the cell's stride and the others stride 1; within a loop they stand in the
    order of their rows in `alpha`, so that a state is complete before an edge leaves it.
    """
    pairs = [(node, source) for node in range(nodes) for source in range(node + INPUTS)]
    grouped: dict[int, tuple[tuple[int, int], ...]] = {}
    for pair in pairs:
        own = stride if pair[1] < INPUTS else 1
        grouped[own] = (*grouped.get(own, ()), pair)
    return grouped


def loop_name(stride: int) -> str:
    """Name of the submodule that holds the edges of one stride."""
    return f"edges_stride_{stride}"
