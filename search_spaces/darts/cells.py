"""What supernet and derived network share: which cell stands where, and how the edges of a cell are numbered."""

from typing import NamedTuple

NORMAL, REDUCE = "normal", "reduce"
INPUTS = 2
"""States 0 and 1 of a cell are the outputs of the two cells before it."""
REDUCTIONS = 2


class CellPlan(NamedTuple):
    """One cell of a network.

    Attributes:
        group: `normal` or `reduce`.
        channels: channels C of each node.
        stride: stride of the edges that leave the two inputs.
        reduced_before: whether the first input is twice the size of the second.
    """

    group: str
    channels: int
    stride: int
    reduced_before: bool


def plan(cells: int, channels: int, reduced_before: bool = False) -> tuple[CellPlan, ...]:
    """Lay out `cells` cells: reductions at one and two thirds, each doubling the channels (DARTS, section 3.1.1)."""
    plans = []
    for index in range(cells):
        reduction = index in (cells // 3, 2 * cells // 3)
        channels = 2 * channels if reduction else channels
        plans.append(CellPlan(REDUCE if reduction else NORMAL, channels, 2 if reduction else 1, reduced_before))
        reduced_before = reduction
    return tuple(plans)


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
