"""The NAS-Bench-201 cell space (Dong and Yang, *NAS-Bench-201*, arXiv:2001.00326), of which every accuracy is known.

A cell has four states; every later state sums one operation from each earlier one. Five operations on six edges make
15,625 architectures. A network has three stages of N equal cells, with residual blocks of stride 2 between them.
"""

from collections.abc import Mapping
from typing import Any

import jax

from dnas import arguments
from dnas.arguments import at_least_one, changed, check_classes, check_ops, check_partial_channels, refuse_partial
from dnas.errors import UserError, unknown
from dnas.genotype import Genotype
from dnas.nn import functions
from dnas.nn.families import check_entangled, holders, own_part
from dnas.types import Group, Network, SearchSpace, Variables
from search_spaces.nasbench201.cells import CELL, EDGES, NODES, OPS, STAGES, chosen, edge_name, stage_name
from search_spaces.nasbench201.network import DerivedNetwork
from search_spaces.nasbench201.source import python_source
from search_spaces.nasbench201.strings import (
    canonical,
    check_genotype,
    connected,
    enumerate_all,
    from_index,
    from_string,
    index,
    named,
    to_string,
)
from search_spaces.nasbench201.supernet import SuperNet

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "data": "digits",
        "baseline": 1,
        "space.channels": 4,
        "space.cells": 1,
        "search.epochs": 12,
        "search.weight_decay": 5e-4,
        "search.nesterov": True,
        "search.alpha_lr": 2e-2,
        "retrain.channels": 8,
        "retrain.cells": 1,
        "retrain.epochs": 30,
        "retrain.batch_size": 64,
        "retrain.drop_path": 0.0,
    },
    "small": {
        "data": "cifar10",
        "baseline": 1,
        "space.channels": 8,
        "space.cells": 1,
        "search.epochs": 5,
        "search.weight_decay": 5e-4,
        "search.nesterov": True,
        "search.alpha_lr": 3e-3,
        "search.chunk_steps": 23,
        "retrain.channels": 8,
        "retrain.cells": 1,
        "retrain.epochs": 4,
        "retrain.batch_size": 100,
        "retrain.drop_path": 0.0,
        "retrain.chunk_steps": 50,
    },
    "paper": {
        "data": "cifar10",
        "baseline": 0,
        "search.shuffle_split": False,
        "search.weight_decay": 5e-4,
        "search.nesterov": True,
        "retrain.epochs": 200,
        "retrain.nesterov": True,
        "retrain.batch_size": 256,
        "retrain.drop_path": 0.0,
        "retrain.lr": 0.1,
        "retrain.weight_decay": 5e-4,
        "retrain.clip_norm": 0.0,
    },
}


def space(
    *,
    classes: int,
    channels: int = 16,
    cells: int = 5,
    ops: tuple[str, ...] = OPS,
    dtype: str = "float32",
    partial_channels: int = 1,
    entangled: bool = False,
) -> SearchSpace:
    """Return the NAS-Bench-201 search space.

    Args:
        classes: number of classes.
        channels: channels C of the first stage's cells.
        cells: cells N of each of the three stages.
        ops: candidate operations; `none` can be kept and then leaves its edge out.
        dtype: type of the computation, `float32` or `bfloat16`; parameters and statistics are always float32.
        partial_channels: K of PC-DARTS: one K-th of the channels goes through the operations, the others past them.
        entangled: whether the 1x1 convolution is the centre of the 3x3 one and shares its batch norm (TangleNAS,
            `dnas.nn.families`).

    Raises:
        UserError: if an argument is out of its range.
    """
    settings = dict(locals())
    check_classes(classes)
    at_least_one(channels=channels, cells=cells)
    check_ops(ops, OPS)
    check_partial_channels(partial_channels, channels)
    check_entangled(entangled, ops)
    network = SuperNet(channels, cells, tuple(ops), classes, arguments.dtype(dtype), partial_channels, entangled)
    nodes = tuple(
        tuple((EDGES.index((node, source)), source) for source in range(node)) for node in range(1, NODES + 1)
    )
    spec = {CELL: Group(edges=len(EDGES), ops=tuple(ops), nodes=nodes, keep=None, concat=(NODES,))}

    init, apply = functions.supernet(network, spec)

    def build_derived(genotype: Genotype, *, searched: bool = False, **settings: Any) -> Network:
        if searched:
            settings = {"channels": channels, "cells": cells, "affine": False, "dtype": dtype, **settings}
        return build(genotype, classes=classes, **settings)

    def inherit(genotype: Genotype, variables: Variables) -> Variables:
        check_genotype(genotype)
        refuse_partial(partial_channels)
        for op in chosen(genotype).values():
            if op not in ops:
                raise unknown("operation of this supernet", op, ops)
        held_by = holders(ops) if entangled else {op: op for op in ops}
        return Variables(*(_inherit(genotype, cells, held_by, tree) for tree in variables))

    def rebuild(**changes: Any) -> SearchSpace:
        return space(**changed(settings, changes))

    return SearchSpace("nasbench201", spec, init, apply, build_derived, inherit, check_shape, rebuild)


def build(
    genotype: Genotype,
    *,
    classes: int,
    channels: int = 16,
    cells: int = 5,
    affine: bool = True,
    dtype: str = "float32",
) -> Network:
    """Return the network of a genotype; the defaults are those of the published tables.

    Args:
        genotype: the architecture.
        classes: number of classes.
        channels: channels C of the first stage's cells.
        cells: cells N of each of the three stages.
        affine: whether the cells' batch norm has scale and bias.
        dtype: type of the computation, `float32` or `bfloat16`.

    Raises:
        UserError: if the genotype or an argument is not valid.
    """
    check_genotype(genotype)
    check_classes(classes)
    at_least_one(channels=channels, cells=cells)
    module = DerivedNetwork(genotype, channels, cells, classes, affine, arguments.dtype(dtype))

    return functions.network(module, check_shape)


def check_shape(shape: tuple[int, ...]) -> None:
    """Raise `UserError` unless images of `shape` (H, W, C) survive the two residual blocks of stride 2."""
    height, width = shape[0], shape[1]
    if height % 4 or width % 4 or min(height, width) < 4:
        raise UserError(
            f"images of {height}x{width}: the 2 residual blocks need height and width to be multiples of 4; resize or "
            f"pad the images"
        )


def _inherit(genotype: Genotype, cells: int, held_by: Mapping[str, str], tree: Mapping[str, Any]) -> dict[str, Any]:
    """Pick from a supernet's parameters or statistics what the derived network keeps.

    `held_by` names for each operation the one that holds its part.
    """
    kept = {name: part for name, part in tree.items() if not name.startswith("stage_")}
    for stage in range(STAGES):
        mixed = tree.get(stage_name(stage), {})
        for cell in range(cells):
            own = {}
            for pair, op in chosen(genotype).items():
                holder = f"{edge_name(*pair)}_{held_by[op]}"
                if holder in mixed:
                    part = jax.tree.map(lambda leaf, cell=cell: leaf[cell], mixed[holder])
                    own[f"{edge_name(*pair)}_{op}"] = own_part(op, held_by[op], part)
            if own:
                kept[f"{stage_name(stage)}_{cell}"] = own
    return kept


__all__ = [
    "OPS",
    "PRESETS",
    "build",
    "canonical",
    "check_genotype",
    "check_shape",
    "connected",
    "enumerate_all",
    "from_index",
    "from_string",
    "index",
    "named",
    "python_source",
    "space",
    "to_string",
]
