"""Random architectures: the baseline that every search has to beat."""

import numpy as np

from dnas.genotype import Genotype
from dnas.selection.top_edges import top_edges
from dnas.types import SearchSpace


def random_genotype(space: SearchSpace, rng: np.random.Generator) -> Genotype:
    """Draw an architecture uniformly: each node's kept edges, then an operation on each, as `top_edges` may.

    Independent uniform weights make all sets of edges and all operations equally likely under `top_edges`.
    """
    weights = {name: rng.random((group.edges, len(group.ops))) for name, group in space.spec.items()}
    return top_edges(space, weights)  # type: ignore[arg-type]
