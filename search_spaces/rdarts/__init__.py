"""The reduced DARTS spaces S1 to S4 of R-DARTS (Zela et al., arXiv:1909.09656) and S5 of DARTS-PT (arXiv:2108.04392).

They are the DARTS space with fewer operations, made to show how differentiable search fails. S1 offers two operations
on each edge, others on every edge; S2 a skip connection and a 3x3 separable convolution; S3 also `none`; S4 noise and
the convolution; S5 the DARTS operations without `none`.
"""

from collections.abc import Mapping
from typing import Any

from dnas.arguments import changed
from dnas.genotype import Genotype
from dnas.shrinking import shrunk
from dnas.types import Network, SearchSpace, Variables
from search_spaces import darts
from search_spaces.darts import build, check_genotype, check_shape, named, python_source
from search_spaces.rdarts.subsets import OWN, SUBSETS, allowed, check_offered, check_subset, offered, ops

PRESETS: Mapping[str, Mapping[str, Any]] = {
    **darts.PRESETS,
    "paper": {**darts.PRESETS["paper"], "retrain.channels": 16, "retrain.cells": 8},
}
"""Those of the DARTS space. `paper` trains a network of 16 channels and 8 cells, the defaults of the R-DARTS code; its
list of settings has 36 channels and 20 cells for S1 on CIFAR-10."""


def space(
    *,
    classes: int,
    subset: str = "S2",
    channels: int = 16,
    cells: int = 8,
    nodes: int = 4,
    stem_multiplier: int = 3,
    dtype: str = "float32",
    recompute: bool = True,
    partial_channels: int = 1,
) -> SearchSpace:
    """Return a reduced DARTS space.

    In S1 the columns of `alpha` are the six operations that some edge offers. The supernet holds all of them on every
    edge, but computes and trains only the two that the edge offers, between which `Group.allowed` has every search
    choose.

    Args:
        classes: number of classes.
        subset: which space, `S1` to `S5`.
        channels: channels C of the first cells' nodes.
        cells: cells in the supernet, at least 3; reductions stand at one and two thirds.
        nodes: intermediate nodes of a cell, in S1 at most 4; a cell has `nodes * (nodes + 3) / 2` edges.
        stem_multiplier: the stem has `stem_multiplier * channels` channels.
        dtype: type of the computation, `float32` or `bfloat16`; parameters and statistics are always float32.
        recompute: whether the derivative computes each edge again, instead of keeping its intermediate arrays; those of
            S1 always are.
        partial_channels: K of PC-DARTS: one K-th of the channels goes through the operations, the others past them.

    Raises:
        UserError: if an argument is out of its range.
    """
    settings = dict(locals())
    check_subset(subset, nodes)
    own = {name: value for name, value in settings.items() if name != "subset"}
    whole = darts.space(**own, ops=ops(subset))

    if subset == OWN:
        whole = shrunk(whole, allowed(subset, nodes))

    def build_derived(genotype: Genotype, *, searched: bool = False, **settings: Any) -> Network:
        check_genotype(genotype)
        check_offered(genotype, subset, nodes)
        return whole.build(genotype, searched=searched, **settings)

    def inherit(genotype: Genotype, variables: Variables) -> Variables:
        check_genotype(genotype)
        check_offered(genotype, subset, nodes)
        return whole.inherit(genotype, variables)

    def rebuild(**changes: Any) -> SearchSpace:
        return space(**changed(settings, changes))

    return whole._replace(name="rdarts", build=build_derived, inherit=inherit, rebuild=rebuild)


__all__ = [
    "OWN",
    "PRESETS",
    "SUBSETS",
    "allowed",
    "build",
    "check_genotype",
    "check_offered",
    "check_shape",
    "named",
    "offered",
    "ops",
    "python_source",
    "space",
]
