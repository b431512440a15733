"""From a discrete architecture back to operation weights."""

from collections.abc import Sequence

import numpy as np

from dnas.errors import UserError
from dnas.genotype import Cell, Genotype
from dnas.types import Group, Mixture, Paths, Spec, Weights


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


def single_paths(spec: Spec, genotypes: Sequence[Genotype]) -> Mixture:
    """Return N architectures as paths, of which a supernet computes no more than one operation an edge.

    Returns:
        For each group weights `(N, edges, ops)` and active columns `(N, edges, P)`, where P is how many operations an
        architecture keeps on one edge at most: 1 but for published ones that keep an edge twice. An edge that is not
        kept has the weight 0.

    Raises:
        UserError: as `one_hot`.
    """
    held = [one_hot(spec, genotype) for genotype in genotypes]
    found = {}
    for name in spec:
        rows = np.stack([np.asarray(one[name]) for one in held])
        most = max(1, int((rows != 0).sum(axis=-1).max()))
        active = np.argsort(rows == 0, axis=-1, kind="stable")[..., :most]
        found[name] = Paths(rows, active.astype(np.int32))  # type: ignore[arg-type]
    return found
