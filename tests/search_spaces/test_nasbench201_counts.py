"""Published sizes of all NAS-Bench-201 networks, to the unit; everything is traced, nothing computed.

An edge's operation adds the same parameters and multiply-adds whatever stands on the other edges. So one network
without operations and one for each operation give the numbers of all 15,625.
"""

from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.types import Workload
from search_spaces import nasbench201 as nb
from search_spaces.nasbench201.cells import EDGES, Stage, plan
from search_spaces.nasbench201.strings import from_ops, to_ops

TABLE = Path(__file__).parents[2].parent / "shared" / "data" / "nb201" / "nb201.npz"
needs_table = pytest.mark.skipif(not TABLE.is_file(), reason="the table of NAS-Bench-201 is not on this machine")
DATA = {"cifar10": (32, 10), "cifar100": (32, 100), "imagenet16": (16, 120)}
"""Side of the images and number of classes of the three published tables."""
SETTINGS = [(32, 10, 16, 5), (12, 7, 3, 2), (8, 4, 5, 1), (20, 3, 2, 3)]
"""Side, classes, channels and cells; the published ones first."""


@cache
def measured(ops: tuple[str, ...], side: int, classes: int, channels: int = 16, cells: int = 5) -> Workload:
    network = nb.build(from_ops(ops), classes=classes, channels=channels, cells=cells)
    return network.workload((side, side, 3))


def on_one_edge(op: str, row: int = 0) -> tuple[str, ...]:
    return tuple(op if edge == row else "none" for edge in range(len(EDGES)))


def minus(first: Workload, second: Workload) -> Workload:
    return Workload(first.params - second.params, first.macs - second.macs)


def predicted(ops: tuple[str, ...], *setting: int) -> Workload:
    """Add up what the operations add to the network without any."""
    base = measured(on_one_edge("none"), *setting)
    added = [minus(measured(on_one_edge(op), *setting), base) for op in ops]
    return Workload(base.params + sum(one.params for one in added), base.macs + sum(one.macs for one in added))


@pytest.mark.parametrize(("classes", "params"), [(10, 73_306), (100, 73_306 + 5_850), (120, 73_306 + 7_150)])
def test_without_convolutions(classes: int, params: int) -> None:
    for op in ("none", "skip_connect", "avg_pool_3x3"):
        assert measured((op,) * 6, 32, classes) == (params, 7_783_040 + 64 * (classes - 10))


def test_all_edges_with_the_largest_convolution() -> None:
    assert measured(("nor_conv_3x3",) * 6, 32, 10) == (1_531_546, 7_783_040 + 6 * 35_389_440)


@pytest.mark.parametrize(
    ("op", "params", "macs"), [("nor_conv_1x1", 28_000, 3_932_160), ("nor_conv_3x3", 243_040, 35_389_440)]
)
def test_what_a_convolution_adds_to_any_edge(op: str, params: int, macs: int) -> None:
    base = measured(on_one_edge("none"), 32, 10)
    for row in range(len(EDGES)):
        assert minus(measured(on_one_edge(op, row), 32, 10), base) == (params, macs)


@pytest.mark.parametrize("seed", range(20))
def test_operations_add_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ops = tuple(str(op) for op in rng.choice(nb.OPS, len(EDGES)))
    setting = SETTINGS[seed % len(SETTINGS)]
    assert measured(ops, *setting) == predicted(ops, *setting)


@pytest.mark.parametrize("op", ["none", "nor_conv_3x3"])
def test_cells_of_a_stage_add_up(op: str) -> None:
    sizes = [measured((op,) * 6, 16, 10, 8, cells) for cells in (1, 2, 3)]
    assert minus(sizes[2], sizes[1]) == minus(sizes[1], sizes[0])
    assert (minus(sizes[1], sizes[0]) == (0, 0)) == (op == "none")


def test_derived_network_holds_the_parameters_that_are_counted() -> None:
    key = jax.eval_shape(lambda: jax.random.key(0))
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    params = jax.eval_shape(nb.build(nb.from_index(6111), classes=10).init, key, images).params
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 73_306 + 4 * 243_040 + 28_000


def test_supernet_holds_both_convolutions_of_every_edge_without_their_affine_parameters() -> None:
    key = jax.eval_shape(lambda: jax.random.key(0))
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    params = jax.eval_shape(nb.space(classes=10).init, key, images).params
    norms = 2 * 5 * (16 + 32 + 64)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 73_306 + 6 * (28_000 + 243_040 - 2 * norms)


def maps(side: int) -> list[tuple[Stage, int]]:
    """Return the published network's stages, and the pixels of each one's maps."""
    return [(stage, (side // 2**index) ** 2) for index, stage in enumerate(plan(16, 5))]


def elementwise(side: int) -> dict[str, int]:
    """Count what the published tables count beside multiply-adds of convolutions and of the dense layer.

    Two for each element that batch norm gives, one for each that ReLU gives, k * k for each that a k x k average pool
    gives, and (side + 1) squared for each channel that the global pool gives.

    Returns:
        the number for the network around the cells (`base`), and for one edge with an operation.
    """
    stages = maps(side)
    elements = sum(stage.cells * stage.channels * pixels for stage, pixels in stages)
    first, last = stages[0], stages[-1]
    base = 2 * first[0].channels * first[1]
    for (before, large), (after, small) in pairwise(stages):
        base += before.channels * large + 2 * after.channels * small
        base += (1 + 2) * after.channels * small
        base += 4 * before.channels * small
    base += (2 + 1) * last[0].channels * last[1]
    base += last[0].channels * (side // 4 + 1) ** 2
    return {
        "base": base,
        "none": 0,
        "skip_connect": 0,
        "nor_conv_1x1": 3 * elements,
        "nor_conv_3x3": 3 * elements,
        "avg_pool_3x3": 9 * elements,
    }


def test_elementwise_work_on_cifar() -> None:
    work = elementwise(32)
    assert work["base"] == 160_832
    assert (work["nor_conv_1x1"], work["nor_conv_3x3"], work["avg_pool_3x3"]) == (430_080, 430_080, 1_290_240)


def test_first_rows_of_the_published_tables() -> None:
    work = elementwise(32)
    for number, params, flops in ((0, 129_306, 17_958_592), (1, 802_426, 116_692_672), (2, 559_386, 84_743_872)):
        ops = to_ops(nb.from_index(number))
        size = predicted(ops, 32, 10)
        assert size.params == params
        assert size.macs + work["base"] + sum(work[op] for op in ops) == flops


@needs_table
@pytest.mark.parametrize("data", DATA)
def test_all_rows_of_the_published_tables(data: str) -> None:
    with np.load(TABLE, allow_pickle=False) as table:
        expected = [table[f"{name}_{data}_M"] for name in ("params", "flops")]
    side, classes = DATA[data]
    work = elementwise(side)
    base = measured(on_one_edge("none"), side, classes)
    added = {op: minus(measured(on_one_edge(op), side, classes), base) for op in nb.OPS}
    counts = [Counter(to_ops(genotype)) for genotype in nb.enumerate_all()]
    params = [base.params + sum(added[op].params * n for op, n in count.items()) for count in counts]
    flops = [
        base.macs + work["base"] + sum((added[op].macs + work[op]) * n for op, n in count.items()) for count in counts
    ]
    for got, column in zip((params, flops), expected, strict=True):
        np.testing.assert_array_equal((np.array(got) / 1e6).astype(np.float32), column)
