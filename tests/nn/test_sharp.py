"""SharpSepConv: its weights counted by hand, and sizes that the logs of sharpDARTS print, to the unit."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from dnas.genotype import Cell, Edge, Genotype
from dnas.nn.operations import operation
from dnas.nn.sharp import SharpSepConv
from search_spaces import darts

MIDDLES = {"sep": 1, "dil": 1, "flood": 4, "dil_flood": 4}
SHARPER = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    *(f"sharp_sep_conv_{k}x{k}" for k in (3, 5, 7)),
    *(f"sharp_dil_conv_{k}x{k}" for k in (3, 5)),
    *(f"sharp_flood_conv_{k}x{k}" for k in (3, 5)),
    "sharp_dil_flood_conv_3x3",
)
"""`SHARPER_PRIMITIVES` of the authors' code."""
PRIMITIVES = (
    "none",
    "max_pool_3x3",
    "skip_connect",
    "sharp_sep_conv_3x3",
    "sharp_dil_conv_3x3",
    "sharp_flood_conv_3x3",
    "sharp_dil_flood_conv_3x3",
    "sharp_choke_conv_3x3",
    "sharp_dil_choke_conv_3x3",
)
SHARP_DARTS_V2 = (
    "sep3 0, sep3 1 | sep3 0, sep3 1 | sep3 1, skip 0 | skip 0, dil3 2",
    "max 0, max 1 | skip 2, max 1 | max 0, skip 2 | skip 2, max 1",
)
"""The published cells of second-order DARTS, of which every separable and dilated convolution is a SharpSepConv."""


def size(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def shapes(module: Any, channels: int) -> Any:
    x = jax.ShapeDtypeStruct((1, 8, 8, channels), jnp.float32)
    return jax.eval_shape(lambda x: module.init(jax.random.key(0), x, False), x)["params"]


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(("into", "out"), [(3, 3), (3, 5), (6, 2)])
@pytest.mark.parametrize(
    "name",
    [f"sharp_{kind}_conv_{k}x{k}" for kind in MIDDLES for k in (3, 5)]
    + ["sharp_sep_conv_7x7", "sharp_choke_conv_3x3", "sharp_dil_choke_conv_3x3"],
)
def test_parameters(name: str, into: int, out: int, affine: bool) -> None:
    kind, _, side = name.removeprefix("sharp_").rpartition("_conv_")
    k = int(side[0])
    middle = 32 if kind.endswith("choke") else MIDDLES[kind] * out
    weights = k * k * into + into * middle + k * k * middle + middle * out
    assert size(shapes(operation(name)(out, affine=affine), into)) == weights + affine * 2 * (middle + out)


def test_the_plain_one_is_the_separable_convolution_of_darts() -> None:
    for k in (3, 5, 7):
        assert operation(f"sharp_sep_conv_{k}x{k}")(4, 2) == operation(f"sep_conv_{k}x{k}")(4, 2)
    assert SharpSepConv(4, dilation=2) == operation("sharp_dil_conv_3x3")(4)
    assert shapes(operation("dil_conv_3x3")(4), 4).keys() != shapes(operation("sharp_dil_conv_3x3")(4), 4).keys()


@pytest.mark.parametrize(("ops", "printed"), [(SHARPER, 9_707_002), (PRIMITIVES, 5_867_642)])
def test_printed_sizes_of_search_networks(ops: tuple[str, ...], printed: int) -> None:
    space = darts.space(classes=10, ops=ops)
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    assert size(jax.eval_shape(space.init, jax.random.key(0), x).params) == printed


def cell(text: str) -> Cell:
    def edge(word: str) -> Edge:
        op, source = word.split()
        fixed = {"skip": "skip_connect", "max": "max_pool_3x3", "avg": "avg_pool_3x3"}
        return Edge(fixed.get(op, f"sharp_{op[:-1]}_conv_{op[-1]}x{op[-1]}"), int(source))

    return Cell(tuple(tuple(map(edge, node.split(","))) for node in text.split("|")), (2, 3, 4, 5))


def test_printed_size_of_a_trained_network() -> None:
    normal, reduce = map(cell, SHARP_DARTS_V2)
    network = darts.build(Genotype("darts", (("normal", normal), ("reduce", reduce))), classes=10, auxiliary=False)
    assert network.workload((32, 32, 3)).params == 3_529_270
