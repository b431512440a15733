"""The rule of DARTS: the strongest operation of each of the strongest edges (arXiv:1806.09055, section 2.4)."""

import numpy as np

from dnas.genotype import Cell, Edge, Genotype
from dnas.selection.best_path import best_path
from dnas.types import Group, SearchSpace, Weights

NONE = "none"
"""The zero operation; where edges compete it takes part in the mixture but is never chosen."""


def top_edges(space: SearchSpace, weights: Weights) -> Genotype:
    """Keep, for each node, the `keep` edges whose best operation weighs most, and that operation on each.

    The operation `none` is left out of both choices. Equal edges: the lower index first; equal operations: the
    lower column. Kept edges stand in order of decreasing weight, as in the published genotypes. A group that keeps all
    its edges (`keep` is None, as in NAS-Bench-201) has them in their own order, and `none` is an operation like others.
    Of a group whose architectures are paths, the path of greatest total weight is kept (`best_path`).

    Args:
        space: the space, for its groups.
        weights: operation weights `(edges, ops)` of each group.

    Raises:
        ValueError: if a group's weights have another shape than its edges and operations, or are not finite.
    """
    cells = []
    for name, group in space.spec.items():
        rows = np.asarray(weights[name], np.float32)
        if rows.shape != (group.edges, len(group.ops)):
            raise ValueError(f"weights of {name!r}: expected {(group.edges, len(group.ops))}, got {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError(f"weights of {name!r}: expected finite numbers")
        if group.allowed is not None:
            rows = np.where(group.allowed, rows, -np.inf)
        cells.append((name, strongest_cell(group, rows)))
    return Genotype(space.name, tuple(cells))


def strongest_cell(group: Group, rows: np.ndarray) -> Cell:
    """Return the cell that `top_edges` keeps of weights `(edges, ops)`, which are -inf for what may not be kept."""
    columns = [column for column, op in enumerate(group.ops) if op != NONE or group.keep is None]
    best = [columns[int(np.argmax(row[columns]))] for row in rows]
    strength = [float(row[column]) for row, column in zip(rows, best, strict=True)]
    if group.path:
        nodes = best_path(group, strength)
    elif group.keep is not None:
        nodes = tuple(tuple(sorted(pairs, key=lambda pair: -strength[pair[0]])[: group.keep]) for pairs in group.nodes)
    else:
        nodes = group.nodes
    kept = (tuple(Edge(group.ops[best[edge]], source) for edge, source in pairs) for pairs in nodes)
    return Cell(tuple(kept), group.concat)
