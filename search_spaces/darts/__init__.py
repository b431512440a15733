"""The DARTS cell space (Liu, Simonyan and Yang, *DARTS*, arXiv:1806.09055).

A network is a stack of normal cells with two reduction cells. A cell has two inputs and `nodes` nodes; node i sums one
mixed operation from each state before it, and the output concatenates the nodes.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax

from dnas import arguments
from dnas.arguments import at_least_one, changed, check_classes, check_ops, check_partial_channels, refuse_partial
from dnas.errors import UserError, unknown
from dnas.genotype import Genotype
from dnas.nn import functions, operations
from dnas.nn.families import check_entangled, holders, own_part
from dnas.selection.one_hot import one_hot
from dnas.types import Group, Network, SearchSpace, Variables
from search_spaces.darts.cells import (
    INPUTS,
    NORMAL,
    REDUCE,
    REDUCTIONS,
    check_groups,
    edge,
    edges,
    groups,
    loop_name,
    loops,
    plan,
)
from search_spaces.darts.genotypes import named, published
from search_spaces.darts.network import DerivedNetwork, auxiliary_size, edge_name
from search_spaces.darts.source import python_source
from search_spaces.darts.supernet import SuperNet

OPS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The eight candidate operations, in the order of the columns of `alpha`."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "data": "digits",
        "baseline": 1,
        "space.channels": 8,
        "space.cells": 3,
        "space.nodes": 2,
        "search.epochs": 12,
        "search.alpha_lr": 2e-2,
        "retrain.channels": 16,
        "retrain.cells": 3,
        "retrain.epochs": 30,
        "retrain.batch_size": 64,
        "retrain.auxiliary": False,
        "retrain.drop_path": 0.0,
    },
    "small": {
        "data": "cifar10",
        "baseline": 1,
        "space.channels": 8,
        "space.cells": 3,
        "space.nodes": 2,
        "search.epochs": 2,
        "search.alpha_lr": 3e-3,
        "search.chunk_steps": 23,
        "retrain.channels": 12,
        "retrain.cells": 3,
        "retrain.epochs": 3,
        "retrain.batch_size": 100,
        "retrain.auxiliary": False,
        "retrain.drop_path": 0.0,
        "retrain.chunk_steps": 50,
    },
    "paper": {"data": "cifar10", "baseline": 0, "search.shuffle_split": False, "retrain.cutout": 16},
}
"""Named sets of settings: `tiny` takes minutes on a CPU, `small` under an hour, `paper` is the published protocol."""


def space(
    *,
    classes: int,
    channels: int = 16,
    cells: int = 8,
    nodes: int = 4,
    ops: tuple[str, ...] = OPS,
    stem_multiplier: int = 3,
    dtype: str = "float32",
    recompute: bool = True,
    partial_channels: int = 1,
    levels: str = "shared",
    entangled: bool = False,
) -> SearchSpace:
    """Return the DARTS search space.

    Args:
        classes: number of classes.
        channels: channels C of the first cells' nodes.
        cells: cells in the supernet, at least 3; reductions stand at one and two thirds.
        nodes: intermediate nodes of a cell; a cell has `nodes * (nodes + 3) / 2` edges.
        ops: candidate operations; `none` may take part in the mixture but is never kept.
        stem_multiplier: the stem has `stem_multiplier * channels` channels.
        dtype: type of the computation, `float32` or `bfloat16`; parameters and statistics are always float32.
        recompute: whether the derivative computes each edge again, instead of keeping its intermediate arrays: a
            quarter of the memory and, on a CPU, no more time.
        partial_channels: K of PC-DARTS: one K-th of the channels goes through the operations, the others past them.
        levels: which cells choose alike: `shared` for all normal and all reduction cells, as published; `stages` for
            those between reductions; `cells` for none (the multi-level search of RC-DARTS, arXiv:1912.12814, of which
            only the abstract could be read: layers at different depths learn different architectures). A found
            architecture then has a cell for each, `normal_0`, `reduce_1` and so on.
        entangled: whether sizes of one convolution share a kernel of which they are slices, and its pointwise kernels
            and batch norms (TangleNAS, `dnas.nn.families`). One-hot weights are then the derived network as before,
            unless it keeps two sizes on one and the same edge, which share what they had apart in the mixture.

    Raises:
        UserError: if an argument is out of its range.
    """
    settings = dict(locals())
    check_classes(classes)
    at_least_one(channels=channels, nodes=nodes, stem_multiplier=stem_multiplier)
    _check_cells("space.cells", cells)
    check_ops(ops, operations.names())
    check_partial_channels(partial_channels, channels)
    check_entangled(entangled, ops)
    network = SuperNet(
        channels,
        cells,
        nodes,
        tuple(ops),
        classes,
        stem_multiplier,
        arguments.dtype(dtype),
        recompute,
        partial_channels,
        levels,
        entangled,
    )
    group = Group(
        edges=edges(nodes),
        ops=tuple(ops),
        nodes=tuple(tuple((edge(node, source), source) for source in range(node + INPUTS)) for node in range(nodes)),
        keep=2,
        concat=tuple(range(INPUTS, INPUTS + nodes)),
    )
    spec = dict.fromkeys(groups(cells, levels), group)

    init, apply = functions.supernet(network, spec)

    def build_derived(genotype: Genotype, *, searched: bool = False, **settings: Any) -> Network:
        if searched:
            own = {"channels": channels, "cells": cells, "stem_multiplier": stem_multiplier, "dtype": dtype}
            settings = {**own, "auxiliary": False, "affine": False, "pool_norm": True, **settings}
        return build(genotype, classes=classes, **settings)

    def inherit(genotype: Genotype, variables: Variables) -> Variables:
        check_genotype(genotype)
        refuse_partial(partial_channels)
        # Raises for what this supernet does not have.
        one_hot(spec, genotype)
        held_by = holders(ops) if entangled else {op: op for op in ops}
        return Variables(*(_inherit(genotype, cells, nodes, held_by, tree) for tree in variables))

    def rebuild(**changes: Any) -> SearchSpace:
        return space(**changed(settings, changes))

    return SearchSpace("darts", spec, init, apply, build_derived, inherit, check_shape, rebuild)


def build(
    genotype: Genotype,
    *,
    classes: int,
    channels: int = 36,
    cells: int = 20,
    stem_multiplier: int = 3,
    stem: str = "cifar",
    auxiliary: bool = True,
    affine: bool = True,
    pool_norm: bool = False,
    dtype: str = "float32",
) -> Network:
    """Return the evaluation network of a genotype; the defaults are the published CIFAR-10 network.

    Args:
        genotype: the architecture.
        classes: number of classes.
        channels: channels C of the first cells' nodes.
        cells: cells, at least 3.
        stem_multiplier: the CIFAR stem has `stem_multiplier * channels` channels.
        stem: `cifar` (one 3x3 convolution) or `imagenet` (three with stride 2).
        auxiliary: whether training uses an auxiliary head after the second reduction.
        affine: whether the cells' batch norm has scale and bias.
        pool_norm: whether pools are followed by batch norm, as in the supernet.
        dtype: type of the computation, `float32` or `bfloat16`.

    Raises:
        UserError: if the genotype or an argument is not valid.
    """
    check_genotype(genotype)
    check_classes(classes)
    at_least_one(channels=channels, stem_multiplier=stem_multiplier)
    _check_cells("retrain.cells", cells)
    if stem not in ("cifar", "imagenet"):
        raise unknown("stem", stem, ("cifar", "imagenet"))
    module = DerivedNetwork(
        genotype, channels, cells, classes, stem_multiplier, stem, auxiliary, affine, pool_norm, arguments.dtype(dtype)
    )

    return functions.network(module, partial(_check_input, stem=stem, auxiliary=auxiliary))


def check_genotype(genotype: Genotype) -> None:
    """Raise `UserError` unless `genotype` is an architecture of this space."""
    names = tuple(name for name, _ in genotype.cells)
    if not check_groups(names):
        raise UserError(
            f"genotype: expected the cells {NORMAL!r} and {REDUCE!r}, or numbered ones, the first normal and "
            f"{REDUCTIONS} reductions among them, got {', '.join(names) or 'none'}"
        )
    for name, cell in genotype.cells:
        if not cell.nodes:
            raise UserError(f"genotype, {name} cell: expected at least one node, got none")
        for node, kept in enumerate(cell.nodes):
            if not kept:
                raise UserError(f"genotype, {name} cell: node {node} has no incoming edge, expected at least one")
            for op, source in ((item.op, item.source) for item in kept):
                if op not in operations.names():
                    reason = unknown("operation", op, operations.names())
                    raise UserError(f"genotype, {name} cell, node {node}: {reason}")
                if not 0 <= source < node + INPUTS:
                    raise UserError(
                        f"genotype, {name} cell, node {node}: expected a source from 0 to {node + INPUTS - 1}, "
                        f"got {source}"
                    )
        last = INPUTS + len(cell.nodes) - 1
        if not cell.concat or not all(0 <= state <= last for state in cell.concat):
            raise UserError(
                f"genotype, {name} cell: expected 'concat' to name states from 0 to {last}, got {list(cell.concat)}"
            )


def check_shape(shape: tuple[int, ...]) -> None:
    """Raise `UserError` unless images of `shape` (H, W, C) survive the two reductions."""
    _check_input(shape, "cifar", auxiliary=False)


def _check_input(shape: tuple[int, ...], stem: str, auxiliary: bool) -> None:
    height, width = shape[0], shape[1]
    unit = 2**REDUCTIONS * (8 if stem == "imagenet" else 1)
    if height % unit or width % unit or min(height, width) < unit:
        raise UserError(
            f"images of {height}x{width}: the {REDUCTIONS} reduction cells need height and width to be multiples "
            f"of {unit}; resize or pad the images"
        )
    if auxiliary and stem == "cifar" and min(auxiliary_size(height, width)) < 8:
        raise UserError(
            f"images of {height}x{width}: the auxiliary head needs at least 32x32; set retrain.auxiliary=false"
        )


def _check_cells(name: str, cells: int) -> None:
    if cells < 3:
        raise UserError(f"{name}: expected at least 3 (one normal and two reduction cells), got {cells}")


def _inherit(
    genotype: Genotype, cells: int, nodes: int, held_by: Mapping[str, str], tree: Mapping[str, Any]
) -> dict[str, Any]:
    """Pick from a supernet's parameters or statistics what the derived network keeps.

    `held_by` names for each operation the one that holds its part.
    """
    kept = {name: part for name, part in tree.items() if not name.startswith("cell_")}
    for index, cell in enumerate(plan(cells, 1, groups=(name for name, _ in genotype.cells))):
        source_tree = tree.get(f"cell_{index}", {})
        own = {name: part for name, part in source_tree.items() if name.startswith("preprocess_")}
        for node, edges_kept in enumerate(genotype[cell.group].nodes):
            for position, (op, source) in enumerate((item.op, item.source) for item in edges_kept):
                stride = cell.stride if source < INPUTS else 1
                row = loops(cell.stride, nodes)[stride].index((node, source))
                mixed = source_tree.get(loop_name(stride), {}).get("op", {}).get(held_by[op])
                if mixed is not None:
                    part = jax.tree.map(lambda leaf, row=row: leaf[row], mixed)
                    own[edge_name(node, position, op)] = own_part(op, held_by[op], part)
        kept[f"cell_{index}"] = own
    return kept


__all__ = [
    "OPS",
    "PRESETS",
    "Genotype",
    "build",
    "check_genotype",
    "check_shape",
    "named",
    "published",
    "python_source",
    "space",
]
