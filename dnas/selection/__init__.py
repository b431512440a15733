"""Which discrete architecture is kept: one rule a file; `one_hot` goes the other way."""

from dnas.selection.best_path import best_path
from dnas.selection.one_hot import one_hot, single_paths
from dnas.selection.perturbation import perturbation
from dnas.selection.random import random_genotype, rivals
from dnas.selection.skip_cap import skip_cap
from dnas.selection.threshold import threshold
from dnas.selection.top_edges import top_edges

__all__ = [
    "best_path",
    "one_hot",
    "perturbation",
    "random_genotype",
    "rivals",
    "single_paths",
    "skip_cap",
    "threshold",
    "top_edges",
]
