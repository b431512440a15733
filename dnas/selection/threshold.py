"""The rule of Fair-DARTS: the strongest operation of the two strongest edges, if its weight is large enough.

Chu et al., *Fair DARTS*, arXiv:1911.12126; the rule is the parse method `threshold_sparse` of the reference code
(xiaomi-automl/FairDARTS, `fairdarts/utils.py`), with its threshold 0.85.
"""

import numpy as np

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.selection.top_edges import top_edges
from dnas.types import Group, SearchSpace, Selection, Weights


def threshold(minimum: float = 0.85) -> Selection:
    """Return the selection that drops an edge of `top_edges` whose operation weighs less than `minimum`.

    A node of which no edge is heavy enough keeps its strongest one. The reference code drops such a node, with every
    edge that leaves it, and narrows the cell's output; here a genotype has all the nodes of its space, each with at
    least one edge (`check_genotype` of DARTS refuses others, and a supernet's weights can only be inherited node by
    node), so that a found network is larger than theirs by those edges.

    A group that keeps all its edges (NAS-Bench-201) is decided as by `top_edges`: there `none`, with a weight of its
    own, removes an edge.

    Args:
        minimum: least weight of a kept operation, between 0 and 1; made for independent weights (sigmoid), since a
            softmax over many operations seldom gets there.

    Raises:
        UserError: if `minimum` is not between 0 and 1.
    """
    if not 0 <= minimum <= 1:
        raise UserError(f"minimum: expected a weight between 0 and 1, got {minimum}")

    def select(space: SearchSpace, weights: Weights) -> Genotype:
        cells = []
        for name, cell in top_edges(space, weights).cells:
            group = space.spec[name]
            rows = np.asarray(weights[name], np.float32)
            cells.append((name, cell if group.keep is None else _heavy(group, rows, cell, np.float32(minimum))))
        return Genotype(space.name, tuple(cells))

    return select


def _heavy(group: Group, rows: np.ndarray, cell: Cell, minimum: np.floating) -> Cell:
    nodes: list[tuple[Edge, ...]] = []
    for incoming, kept in zip(group.nodes, cell.nodes, strict=True):
        row_of = {source: edge for edge, source in incoming}
        heavy = tuple(edge for edge in kept if rows[row_of[edge.source], group.ops.index(edge.op)] >= minimum)
        nodes.append(heavy or kept[:1])
    return Cell(tuple(nodes), cell.concat)
