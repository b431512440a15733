"""The refinement of P-DARTS: at most M skip connections in the normal cell (Chen et al., arXiv:1904.12760).

The procedure is that of the reference code (chenxin061/pdarts, `train_search.py`, which prints a genotype for every
cap from 8 to 0); that M is 2 comes from the related work of DARTS- (arXiv:2009.01027).
"""

import numpy as np

from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.selection.top_edges import top_edges
from dnas.types import Group, SearchSpace, Selection, Weights


def skip_cap(limit: int = 2, groups: tuple[str, ...] = (), op: str = "skip_connect") -> Selection:
    """Return the selection that removes the weakest kept skip connection and derives again, until few are left.

    A removed operation weighs less than anything else in its group from then on: its edge takes the next best
    operation, and may lose its place to another edge. Equally weak ones: the lower edge first.

    Args:
        limit: greatest number of skip connections in a cell.
        groups: the cells that are capped; empty: `normal` where a space has it (as published), numbered or not, else
            all.
        op: the operation that is counted.

    Raises:
        UserError: if `limit` is negative; when selecting, if the space has none of `groups`, or if its edges offer
            too little beside `op` to come down to `limit`.
    """
    if limit < 0:
        raise UserError(f"limit: expected at least 0 skip connections, got {limit}")

    def select(space: SearchSpace, weights: Weights) -> Genotype:
        left = {name: np.array(rows, np.float32) for name, rows in weights.items()}
        genotype = top_edges(space, left)  # type: ignore[arg-type]
        for name in _capped(space, groups):
            removed: set[int] = set()
            while len(kept := _edges_with(space.spec[name], genotype, name, op)) > limit:
                column = space.spec[name].ops.index(op)
                weakest = min(kept, key=lambda edge: left[name][edge, column])
                if weakest in removed:
                    raise UserError(
                        f"{name} cell: expected edges that can do without {op!r}, but {len(kept)} have nothing else to "
                        f"keep; raise the limit of {limit} or add operations to the space"
                    )
                removed.add(weakest)
                left[name][weakest, column] = left[name].min() - 1
                genotype = top_edges(space, left)  # type: ignore[arg-type]
        return genotype

    return select


def _capped(space: SearchSpace, groups: tuple[str, ...]) -> tuple[str, ...]:
    missing = [name for name in groups if name not in space.spec]
    if missing:
        raise UserError(f"groups: {space.name} has the cells {', '.join(space.spec)}, got {', '.join(missing)}")
    if groups:
        return groups
    normal = tuple(name for name in space.spec if name.partition("_")[0] == "normal")
    return normal or tuple(space.spec)


def _edges_with(group: Group, genotype: Genotype, name: str, op: str) -> list[int]:
    """Return the rows of the kept edges that carry `op`, in increasing order."""
    rows = []
    for incoming, kept in zip(group.nodes, genotype[name].nodes, strict=True):
        row_of = {source: edge for edge, source in incoming}
        rows += [row_of[edge.source] for edge in kept if edge.op == op]
    return sorted(rows)
