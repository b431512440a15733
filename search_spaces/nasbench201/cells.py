"""What supernet, derived network and architecture strings share: a cell's edges and a network's stages."""

from typing import NamedTuple

from dnas.genotype import Genotype

CELL = "cell"
"""Name of the one group of edges: all cells of a network are equal."""
NODES = 3
"""Nodes that sum edges; state 0 is the cell's input and the last state its output."""
OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The five candidate operations, in the order of the columns of `alpha` and of the published tables."""
EDGES = tuple((node, source) for node in range(1, NODES + 1) for source in range(node))
"""Edges as (target, source) states, in the order of the rows of `alpha`: 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2."""
STAGES = 3


class Stage(NamedTuple):
    """One stage of a network: `cells` equal cells with `channels` channels, after a residual block if `reduces`."""

    channels: int
    cells: int
    reduces: bool


def plan(channels: int, cells: int) -> tuple[Stage, ...]:
    """Lay out a network: three stages of `cells` cells, each later one at half the size and twice the channels."""
    return tuple(Stage(channels * 2**index, cells, index > 0) for index in range(STAGES))


def stage_name(index: int) -> str:
    """Name of the submodule that holds a stage's cells."""
    return f"stage_{index}"


def edge_name(target: int, source: int) -> str:
    """Name of the submodule that holds an edge's operations."""
    return f"edge_{target}_{source}"


def chosen(genotype: Genotype) -> dict[tuple[int, int], str]:
    """Return the operation on each edge (target, source) of a checked genotype."""
    nodes = genotype[CELL].nodes
    return {(target, edge.source): edge.op for target, kept in enumerate(nodes, start=1) for edge in kept}
