"""The roofline: closed forms of one kernel, sums of whole networks, and published measurements."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dnas.hardware.kernels import Kernel, program
from dnas.hardware.machines import MACHINES, machine
from dnas.hardware.model import ROOFLINE, Profile
from dnas.hardware.profile_file import read_profile, write_profile
from dnas.hardware.roofline import WIDTHS, Machine, roofline, seconds
from dnas.selection import random_genotype
from search_spaces import darts, nasbench201

SHAPE = (8, 12, 3)
TOY = Machine("toy", "a toy", {"float32": 2e9, "int8": 8e9}, 4e9, 1e-6, "made up")
SMALL = darts.space(classes=3, channels=4, cells=3, nodes=2)
CELLS = nasbench201.space(classes=3, channels=2, cells=1)
TABLE = Path(__file__).parents[2].parent / "shared" / "data" / "latency" / "hwnasbench_nb201.npz"


def kernel(macs: int, moved: int) -> Kernel:
    return Kernel("conv", macs, moved - 2, 1, 1, (0,), 1)


def test_a_kernel_takes_the_longer_of_arithmetic_and_traffic() -> None:
    # 1 us of arithmetic against 0.5 and 2 us of traffic.
    assert seconds(kernel(1000, 500), TOY, "float32") == pytest.approx(1e-6 + 1e-6)
    assert seconds(kernel(1000, 2000), TOY, "float32") == pytest.approx(2e-6 + 1e-6)
    crossing = 2 * 1000 / TOY.peak_flops["float32"] * TOY.bandwidth / WIDTHS["float32"]
    assert seconds(kernel(1000, int(crossing)), TOY, "float32") == pytest.approx(2e-6)


def test_what_bounds_a_kernel_decides_what_helps() -> None:
    free = TOY._replace(launch_overhead=0.0)
    wide, strong = free._replace(bandwidth=8e9), free._replace(peak_flops={"float32": 4e9})
    memory_bound, compute_bound = kernel(10, 2000), kernel(10_000, 2000)
    for one, helps, does_not in ((memory_bound, wide, strong), (compute_bound, strong, wide)):
        assert seconds(one, helps, "float32") == pytest.approx(seconds(one, free, "float32") / 2)
        assert seconds(one, does_not, "float32") == seconds(one, free, "float32")


def test_narrow_types_move_fewer_bytes() -> None:
    free = TOY._replace(launch_overhead=0.0)
    assert seconds(kernel(0, 2000), free, "int8") == pytest.approx(seconds(kernel(0, 2000), free, "float32") / 4)


def test_launches_count_kernels() -> None:
    only = TOY._replace(peak_flops={"float32": 1e30}, bandwidth=1e30)
    model = roofline(SMALL, only, SHAPE)
    genotype = random_genotype(SMALL, np.random.default_rng(0))
    count = len(program(SMALL.build(genotype, searched=True), SHAPE).kernels)
    assert model.predict(SMALL.spec, genotype) == pytest.approx(1e-3 * count)


@pytest.mark.parametrize(("settings", "batch_size"), [(None, 1), ({"channels": 6, "cells": 5, "auxiliary": False}, 4)])
def test_a_table_of_edges_that_are_kept_is_the_network(settings: dict[str, Any] | None, batch_size: int) -> None:
    model = roofline(SMALL, TOY, SHAPE, settings=settings, batch_size=batch_size)
    assert model.actual is not None
    assert (model.kind, model.quality, model.metric, model.unit) == (ROOFLINE, None, "latency", "ms")
    assert "not measured" in model.source
    assert "exact" in model.source
    assert model.network == {**(settings or {"searched": True}), "classes": 3, "image": list(SHAPE)}
    rng = np.random.default_rng(0)
    for _ in range(4):
        genotype = random_genotype(SMALL, rng)
        own = program(SMALL.build(genotype, **(settings or {"searched": True})), SHAPE, batch_size)
        total = 1e3 * sum(seconds(one, TOY, "float32") for one in own.kernels)
        assert model.predict(SMALL.spec, genotype) == pytest.approx(total, rel=1e-6)
        assert model.actual(genotype) == pytest.approx(model.predict(SMALL.spec, genotype), rel=1e-12)


def test_a_table_of_edges_with_none_is_near_the_network() -> None:
    model = roofline(CELLS, TOY, SHAPE, networks=60)
    assert model.actual is not None
    assert "not measured" in model.source
    assert "differs" in model.source
    drawn = [random_genotype(CELLS, np.random.default_rng(seed)) for seed in range(20)]
    true = [model.actual(genotype) for genotype in drawn]
    np.testing.assert_allclose([model.predict(CELLS.spec, genotype) for genotype in drawn], true, rtol=0.1)


def test_a_profile_file_holds_an_estimate(tmp_path: Path) -> None:
    model = roofline(SMALL, TOY, SHAPE)
    write_profile(Profile("toy", "a toy", (model,)), tmp_path / "toy.json")
    (found,) = read_profile(tmp_path / "toy.json").models
    assert found._replace(table=model.table, actual=model.actual) == model
    for name, rows in model.table.rows.items():
        np.testing.assert_allclose(found.table.rows[name], rows, rtol=1e-8)


def test_machines_are_told_apart_and_plausible() -> None:
    assert len({one.name for one in MACHINES}) == len(MACHINES)
    for one in MACHINES:
        assert machine(one.name) == one
        assert set(one.peak_flops) <= set(WIDTHS)
        assert one.source
        assert 0 <= one.launch_overhead <= 1e-4
        # The balance of arithmetic and bandwidth of any device lies within a few orders of magnitude.
        for peak in one.peak_flops.values():
            assert 1 < peak / one.bandwidth < 2000
    faster = [machine(name) for name in ("jetson-nano", "jetson-tx2", "t4", "a100", "h100")]
    assert [one.peak_flops["float32"] for one in faster] == sorted(one.peak_flops["float32"] for one in faster)


def test_unknown_machine_is_one_sentence(sentence: Any) -> None:
    with sentence("unknown machine", "'raspi6'", "raspi5"):
        machine("raspi6")


def test_unknown_type_is_one_sentence(sentence: Any) -> None:
    with sentence("dtype of toy", "bfloat16", "float32, int8"):
        roofline(SMALL, TOY, SHAPE, dtype="bfloat16")


@pytest.mark.skipif(not TABLE.is_file(), reason="the latencies of HW-NAS-Bench are not on this machine")
@pytest.mark.parametrize(
    ("name", "column", "least"),
    [("raspi4", "raspi4", 0.85), ("pixel3", "pixel3", 0.8), ("jetson-tx2", "edgegpu", 0.7), ("coral", "edgetpu", 0.6)],
)
def test_estimates_rank_as_published_measurements_do(name: str, column: str, least: float) -> None:
    with np.load(TABLE, allow_pickle=False) as table:
        every = table[f"cifar10__{column}_latency"]
    # A negative number stands for a network that did not run.
    drawn = [int(number) for number in np.random.default_rng(0).permutation(len(every))[:120] if every[number] > 0]
    one = machine(name)
    dtype = next(iter(one.peak_flops))
    estimates = []
    for number in drawn:
        network = nasbench201.build(nasbench201.from_index(number), classes=10)
        estimates.append(sum(seconds(own, one, dtype) for own in program(network, (32, 32, 3)).kernels))
    assert stats.spearmanr(estimates, every[drawn]).statistic > least
    assert np.median(every[drawn] / estimates) > 1e3
