"""Sizes of the grid, of the supernet and of paths through it, from closed forms and to the unit."""

import math
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from search_spaces import hypercuboid
from search_spaces.hypercuboid.grid import GRID, Grid, stride
from search_spaces.hypercuboid.paths import grid_of

POOL, SHARP = hypercuboid.OPS


def size(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def sharp(into: int, out: int, affine: bool) -> int:
    """Weights of a 3x3 SharpSepConv whose middle is as wide as its output, and scales and biases of both norms."""
    return 9 * into + into * out + 9 * out + out * out + 4 * out * affine


def pool(into: int, out: int, affine: bool) -> int:
    return 0 if into == out else into * out + 2 * out * affine


def stem(width: int) -> int:
    return 3 * 9 * width + 2 * width


@pytest.mark.parametrize(
    ("channels", "widths", "layers", "head", "classes", "affine"),
    [(2, 2, 1, 5, 3, True), (3, 3, 2, 4, 2, False), (4, 1, 2, 8, 10, True)],
)
def test_supernet(channels: int, widths: int, layers: int, head: int, classes: int, affine: bool) -> None:
    space = hypercuboid.space(
        classes=classes, channels=channels, widths=widths, layers=layers, head_channels=head, affine=affine
    )
    x = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    every = [channels * 2**index for index in range(widths)]
    level = sum(sharp(i, o, affine) + pool(i, o, affine) for i in every for o in every)
    expected = sum(map(stem, every)) + 2 * layers * level + sum(sharp(c, head, affine) for c in every)
    assert size(jax.eval_shape(space.init, jax.random.key(0), x).params) == expected + (head + 1) * classes
    group = space.spec[GRID]
    assert group.edges == 2 * layers * widths**2 + widths
    assert len(group.nodes) == 2 * layers * widths + 1
    assert sum(map(sum, group.allowed or ())) == 2 * (group.edges - widths) + widths


def test_the_published_grid_has_as_many_weights_as_the_authors_alpha() -> None:
    # alpha has the shape [stride, layer, C_in, C_out, operation] there, and nothing is chosen on the way to the head.
    group = Grid(layers=4, widths=4).group(hypercuboid.OPS)
    assert (group.edges - 4) * len(group.ops) == 2 * 4 * 4 * 4 * 2


@pytest.mark.parametrize(("name", "stems", "pools", "sharps"), [
    ("MAX_W", 256, [(256, 128), (128, 256), (256, 32), (32, 256), (256, 256)], [(256, 256)]),
    ("SCALAR", 32, [(32, 128), (128, 32), (32, 256), (256, 256)], [(32, 32), (128, 128)]),
    ("HANDMADE", 32, [(32, 64), (64, 128), (128, 256), (256, 256)], [(c, c) for c in (32, 64, 128, 256)]),
])  # fmt: skip
def test_published_paths(name: str, stems: int, pools: list[tuple[int, int]], sharps: list[tuple[int, int]]) -> None:
    genotype = hypercuboid.named(name)
    path = hypercuboid.to_path(genotype)
    assert grid_of(genotype) == Grid(4, 4)
    assert hypercuboid.to_genotype(path, Grid(4, 4)) == genotype
    assert Genotype.from_json(genotype.to_json()) == genotype
    expected = stem(stems) + sum(pool(*pair, True) for pair in pools) + sum(sharp(*pair, True) for pair in sharps)
    network = hypercuboid.build(genotype, classes=10)
    assert network.workload((32, 32, 3)).params == expected + sharp(256, 768, True) + 769 * 10


@pytest.mark.parametrize(("widths", "ops"), [((1, 0, 2), (SHARP, POOL)), ((0, 0, 2, 2, 1), (POOL, SHARP, SHARP, POOL))])
def test_multiply_adds(widths: tuple[int, ...], ops: tuple[str, ...]) -> None:
    layers = len(ops) // 2
    genotype = hypercuboid.to_genotype(hypercuboid.Path(widths, ops), Grid(layers, 3))
    channels = [3 * 2**width for width in widths]
    side, total = 8, 64 * 27 * channels[0]
    for level, ((into, out), op) in enumerate(zip(pairwise(channels), ops, strict=True), start=1):
        side //= stride(level)
        weights = sharp(into, out, False) if op == SHARP else pool(into, out, False)
        total += side * side * weights
    total += side * side * sharp(channels[-1], 7, False) + 7 * 2
    network = hypercuboid.build(genotype, classes=2, channels=3, head_channels=7)
    assert network.workload((8, 8, 3)).macs == total


def changed(state: int, kept: tuple[Edge, ...], concat: tuple[int, ...] = (6,)) -> Genotype:
    """Return the path 0 - 2 - 4 - 6 of a grid of one layer and two widths, with other edges at one state."""
    nodes: list[tuple[Edge, ...]] = [(Edge(POOL, 0),), (), (Edge(POOL, 2),), (), (Edge(SHARP, 4),)]
    nodes[state - 2] = kept
    return Genotype("hypercuboid", ((GRID, Cell(tuple(nodes), concat)),))


@pytest.mark.parametrize(
    ("genotype", "words"),
    [
        (Genotype("hypercuboid", (("cell", Cell((), ())),)), ["'grid'", "got cell"]),
        (changed(2, (Edge(POOL, 0),), concat=(5, 6)), ["5 nodes", "[5, 6]"]),
        (changed(2, (Edge(POOL, 0),), concat=(7,)), ["5 nodes", "[7]"]),
        (changed(2, (Edge(POOL, 0),), concat=(3,)), ["5 nodes", "[3]"]),
        (changed(4, ()), ["state 4", "one incoming edge", "got 0"]),
        (changed(4, (Edge(POOL, 2), Edge(POOL, 3))), ["state 4", "got 2"]),
        (changed(4, (Edge(POOL, 0),)), ["state 4", "[2, 3]", "got 0"]),
        (changed(2, (Edge(POOL, -1),)), ["state 2", "[0, 1]", "got -1"]),
        (changed(3, (Edge(POOL, 0),)), ["edges beside it, 1 in all"]),
        (changed(4, (Edge("none", 2),)), ["unknown operation 'none'"]),
        (changed(6, (Edge(POOL, 4),)), [SHARP, f"got {POOL}"]),
    ],
)
def test_what_is_no_architecture_gets_one_sentence(genotype: Genotype, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        hypercuboid.check_genotype(genotype)
    text = str(error.value)
    assert "\n" not in text
    assert all(word in text for word in words), text
