"""Published parameter counts to the unit; everything is traced, nothing computed."""

import math
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from search_spaces import darts
from search_spaces.darts.cells import edge, edges, plan

IMAGES = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
KEY = jax.eval_shape(lambda: jax.random.key(0))


def size(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


@cache
def derived(name: str, classes: int) -> tuple[int, int]:
    """Count the network with its auxiliary head, and the head alone."""
    network = darts.build(darts.published()[name], classes=classes)
    params = jax.eval_shape(network.init, KEY, IMAGES).params
    return size(params), size(params["auxiliary"])


@pytest.mark.parametrize(
    ("classes", "ops", "params"),
    [(10, darts.OPS, 1_930_618), (100, darts.OPS, 1_953_748), (10, darts.OPS[1:], 1_930_618)],
    ids=["10", "100", "10-without-none"],
)
def test_supernet(classes: int, ops: tuple[str, ...], params: int) -> None:
    space = darts.space(classes=classes, ops=ops)
    assert size(jax.eval_shape(space.init, KEY, IMAGES).params) == params


@pytest.mark.parametrize(
    ("name", "classes", "alone"),
    [
        ("DARTS_V1", 10, 3_169_414),
        ("DARTS_V1", 100, 3_221_344),
        ("DARTS_V2", 10, 3_349_342),
        ("DARTS_V2", 100, 3_401_272),
        ("PC_DARTS_cifar", 10, 3_634_678),
        ("PC_DARTS_cifar", 100, 3_686_608),
        ("DARTS_PT_S5", 10, 3_328_174),
    ],
)
def test_derived_network_with_auxiliary_head(name: str, classes: int, alone: int) -> None:
    head = {10: 476_426, 100: 545_636}[classes]
    assert derived(name, classes) == (alone + head, head)


def test_derived_network_without_auxiliary_head() -> None:
    network = darts.build(darts.published()["DARTS_V2"], classes=10, auxiliary=False)
    assert size(jax.eval_shape(network.init, KEY, IMAGES).params) == 3_349_342


def test_deployed_network_is_counted_without_the_head_that_trains_it() -> None:
    assert darts.build(darts.published()["DARTS_V2"], classes=10).workload((32, 32, 3)).params == 3_349_342


def test_architecture_parameters() -> None:
    space = darts.space(classes=10)
    assert {name: (group.edges, len(group.ops)) for name, group in space.spec.items()} == {
        "normal": (14, 8),
        "reduce": (14, 8),
    }
    assert [[source for _, source in node] for node in space.spec["normal"].nodes] == [
        [0, 1],
        [0, 1, 2],
        [0, 1, 2, 3],
        [0, 1, 2, 3, 4],
    ]
    rows = [row for node in space.spec["reduce"].nodes for row, _ in node]
    assert rows == list(range(14)) == [edge(node, source) for node in range(4) for source in range(node + 2)]
    assert [edges(nodes) for nodes in range(1, 6)] == [2, 5, 9, 14, 20]


@pytest.mark.parametrize(("cells", "reductions"), [(3, [1, 2]), (5, [1, 3]), (8, [2, 5]), (14, [4, 9]), (20, [6, 13])])
def test_reduction_cells(cells: int, reductions: list[int]) -> None:
    plans = plan(cells, 16)
    assert [index for index, cell in enumerate(plans) if cell.group == "reduce"] == reductions
    for index, cell in enumerate(plans):
        doubled = sum(index >= reduction for reduction in reductions)
        assert cell.channels == 16 * 2**doubled
        assert cell.stride == (2 if index in reductions else 1)
        assert cell.reduced_before == (index - 1 in reductions)


def test_published_genotypes_are_valid_by_every_rule() -> None:
    genotypes = darts.published()
    assert set(genotypes) >= {
        "DARTS_V1",
        "DARTS_V2",
        "PC_DARTS_cifar",
        "PC_DARTS_image",
        "PDARTS",
        "NASNet",
        "AmoebaNet",
    }
    for genotype in genotypes.values():
        darts.check_genotype(genotype)
        assert all(len(node) == 2 for _, cell in genotype.cells for node in cell.nodes)
