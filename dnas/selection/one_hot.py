"""From a discrete architecture back to operation weights."""

import numpy as np

from dnas.genotype import Genotype
from dnas.types import Spec, Weights


def one_hot(spec: Spec, genotype: Genotype) -> Weights:
    """Return the weights `(edges, ops)` that make a supernet compute `genotype`: 1 on kept edges' operations, else 0.

    Two kept edges of one node with the same source and operation add up to 2.

    Raises:
        ValueError: if the genotype keeps an edge or operation that `spec` does not have.
    """
    weights = {}
    for name, group in spec.items():
        rows = np.zeros((group.edges, len(group.ops)), np.float32)
        cell = genotype[name]
        if len(cell.nodes) != len(group.nodes):
            raise ValueError(f"genotype, {name}: expected {len(group.nodes)} nodes, got {len(cell.nodes)}")
        for incoming, kept in zip(group.nodes, cell.nodes, strict=True):
            row_of = {source: edge for edge, source in incoming}
            for edge in kept:
                if edge.source not in row_of or edge.op not in group.ops:
                    raise ValueError(f"genotype, {name}: the space has no edge {edge.op}<-{edge.source}")
                rows[row_of[edge.source], group.ops.index(edge.op)] += 1
        weights[name] = rows
    return weights  # type: ignore[return-value]
