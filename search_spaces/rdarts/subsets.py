"""Which operations each edge of the spaces S1 to S5 offers.

S1 to S4 are those of Zela et al., *Understanding and Robustifying Differentiable Architecture Search* (R-DARTS,
arXiv:1909.09656), as its code lists them (automl/RobustDARTS, `src/spaces.py` at 07f54ba); S5 is that of the code of
DARTS-PT (ruocwang/darts-pt, `sota/cnn/spaces.py` at c31e376), which lists the other four in the same way.
"""

from collections.abc import Mapping

import numpy as np

from dnas.errors import UserError, unknown
from dnas.genotype import Genotype
from search_spaces.darts import OPS
from search_spaces.darts.cells import NORMAL, REDUCE, edge, edges, kind

OWN = "S1"
"""The subset in which every edge has two operations of its own."""
SAME: Mapping[str, tuple[str, ...]] = {
    "S2": ("skip_connect", "sep_conv_3x3"),
    "S3": ("none", "skip_connect", "sep_conv_3x3"),
    "S4": ("noise", "sep_conv_3x3"),
    "S5": OPS[1:],
}
"""The subsets in which all edges have the same operations."""
SUBSETS = (OWN, *SAME)

_SHORT = {
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "skip": "skip_connect",
    "sep3": "sep_conv_3x3",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
}
_PAIRS: Mapping[str, str] = {
    NORMAL: (
        "skip dil3, skip dil5 | skip dil5, skip sep3, skip dil3 | max skip, skip sep3, skip sep3, skip dil3 | "
        "skip sep3, max skip, skip dil3, dil3 dil5, dil3 dil5"
    ),
    REDUCE: (
        "max avg, max dil3 | max avg, max avg, skip dil5 | max avg, max sep3, skip dil3, skip dil5 | "
        "max avg, max avg, skip dil5, skip dil5, skip dil5"
    ),
}
"""S1: nodes apart by bars, and the edges that enter a node in the order of their sources."""


def check_subset(subset: str, nodes: int) -> None:
    """Raise `UserError` for an unknown subset, or for more nodes than S1 lists the edges of."""
    if subset not in SUBSETS:
        raise unknown("subset", subset, SUBSETS)
    listed = len(_PAIRS[NORMAL].split("|"))
    if subset == OWN and nodes > listed:
        raise UserError(f"space.nodes={nodes}: S1 lists the operations of {listed} nodes; choose {listed} or fewer")


def ops(subset: str) -> tuple[str, ...]:
    """Return the operations that at least one edge offers, in the order of the columns of `alpha`."""
    return SAME[subset] if subset in SAME else tuple(_SHORT.values())


def offered(subset: str, nodes: int = 4) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the operations that each edge offers, for each group; fewer `nodes` have the edges of the first ones."""
    check_subset(subset, nodes)
    if subset in SAME:
        return dict.fromkeys((NORMAL, REDUCE), (SAME[subset],) * edges(nodes))
    return {name: tuple(map(_pair, text.replace("|", ",").split(",")))[: edges(nodes)] for name, text in _PAIRS.items()}


def allowed(subset: str, nodes: int = 4) -> dict[str, np.ndarray]:
    """Return for each group the `(edges, ops)` bool mask of the operations that its edges offer."""
    columns = ops(subset)
    return {
        name: np.array([[op in own for op in columns] for own in rows]) for name, rows in offered(subset, nodes).items()
    }


def check_offered(genotype: Genotype, subset: str, nodes: int) -> None:
    """Raise `UserError` if a genotype of the DARTS space has an operation that its edge does not offer in S1.

    Args:
        genotype: an architecture that `search_spaces.darts.check_genotype` accepts.
        subset: the subset; only S1 is checked, in which edges differ.
        nodes: nodes of the space; edges of later ones are not checked.
    """
    if subset != OWN:
        return
    table = offered(subset, nodes)
    for name, cell in genotype.cells:
        for node, kept in enumerate(cell.nodes[:nodes]):
            for op, source in ((item.op, item.source) for item in kept):
                own = table[kind(name)][edge(node, source)]
                if op not in own:
                    raise UserError(
                        f"genotype, {name} cell, node {node}: S1 offers {' or '.join(own)} on the edge from state "
                        f"{source}, got {op}: choose one of these, or the whole space with --space darts"
                    )


def _pair(text: str) -> tuple[str, ...]:
    return tuple(_SHORT[word] for word in text.split())
