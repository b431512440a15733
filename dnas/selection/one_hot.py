"""From a discrete architecture back to operation weights."""

import numpy as np

from dnas.errors import UserError
from dnas.genotype import Cell, Genotype
from dnas.types import Group, Spec, Weights


def one_hot(spec: Spec, genotype: Genotype) -> Weights:
    """Return the weights `(edges, ops)` that make a supernet compute `genotype`: 1 on kept edges' operations, else 0.

    Two kept edges of one node with the same source and operation add up to 2.

    Raises:
        UserError: if the genotype has a cell, node, edge, operation or output that `spec` does not have.
    """
    cells = dict(genotype.cells)
    if set(cells) != set(spec):
        raise UserError(
            f"genotype: expected the cells {', '.join(sorted(spec))}, got {', '.join(sorted(cells)) or 'none'}"
        )
    return {name: _rows(name, group, cells[name]) for name, group in spec.items()}  # type: ignore[misc]


def _rows(name: str, group: Group, cell: Cell) -> np.ndarray:
    if len(cell.nodes) != len(group.nodes):
        raise UserError(f"genotype, {name} cell: the space has {len(group.nodes)} nodes, got {len(cell.nodes)}")
    if cell.concat != group.concat:
        raise UserError(
            f"genotype, {name} cell: the space concatenates the states {list(group.concat)}, got {list(cell.concat)}"
        )
    rows = np.zeros((group.edges, len(group.ops)), np.float32)
    for incoming, kept in zip(group.nodes, cell.nodes, strict=True):
        row_of = {source: edge for edge, source in incoming}
        for edge in kept:
            if edge.source not in row_of or edge.op not in group.ops:
                raise UserError(f"genotype, {name} cell: the space has no edge {edge.op}<-{edge.source}")
            row, column = row_of[edge.source], group.ops.index(edge.op)
            if group.allowed is not None and not group.allowed[row][column]:
                raise UserError(f"genotype, {name} cell: the space has no edge {edge.op}<-{edge.source}")
            rows[row, column] += 1
    return rows
