"""Differentiable neural architecture search in JAX: a search is a value.

`dnas.darts(space)` returns a `Search`, a pair of pure functions `init` and `step` that work under the caller's own
`jit`, `scan` and `vmap`; `dnas.search.compose` puts one together from parts.
"""

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.methods.darts import darts
from dnas.methods.gdas import gdas
from dnas.methods.pc_darts import pc_darts
from dnas.types import Batch, Batches, Group, Network, Search, SearchInfo, SearchSpace, SearchState

__all__ = [
    "Batch",
    "Batches",
    "Cell",
    "Edge",
    "Genotype",
    "Group",
    "Network",
    "Search",
    "SearchInfo",
    "SearchSpace",
    "SearchState",
    "UserError",
    "darts",
    "gdas",
    "pc_darts",
]
