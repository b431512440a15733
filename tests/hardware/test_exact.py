"""Exact metrics: tables against networks that are counted as a whole."""

from typing import Any

import numpy as np
import pytest

from dnas.costs import CostTable, cost
from dnas.genotype import Genotype
from dnas.hardware.additive import additive
from dnas.hardware.exact import exact
from dnas.hardware.kernels import program
from dnas.hardware.model import EXACT
from dnas.selection import random_genotype
from search_spaces import darts, hypercuboid, nasbench201, rdarts

SHAPE = (8, 12, 3)
SMALL = {"classes": 3, "channels": 4, "cells": 3, "nodes": 2}
SPACES = {
    "darts": darts.space(**SMALL),
    "rdarts, edges that differ": rdarts.space(**SMALL, subset="S1"),
    "rdarts, noise": rdarts.space(**SMALL, subset="S4"),
    "nasbench201": nasbench201.space(classes=3, channels=2, cells=2),
    "hypercuboid": hypercuboid.space(classes=3, channels=2, widths=3, layers=2, head_channels=8),
}
DEPLOYED: dict[str, dict[str, Any]] = {
    "darts": {"channels": 6, "cells": 5, "auxiliary": True},
    "rdarts, edges that differ": {"channels": 8, "cells": 3},
    "rdarts, noise": {"channels": 4, "cells": 4},
    "nasbench201": {"channels": 4, "cells": 1},
    "hypercuboid": {"channels": 3, "head_channels": 5},
}


@pytest.mark.parametrize("metric", ["params", "macs"])
@pytest.mark.parametrize("deployed", [False, True])
@pytest.mark.parametrize("name", SPACES)
def test_tables_are_the_networks(name: str, deployed: bool, metric: str) -> None:
    space, settings = SPACES[name], DEPLOYED[name] if deployed else None
    model = exact(space, metric, SHAPE, settings=settings)
    assert model.actual is not None
    assert (model.kind, model.quality, model.title) == (EXACT, None, metric)
    assert all((rows >= 0).all() for rows in model.table.rows.values())
    rng, seen = np.random.default_rng(5), set()
    for _ in range(10):
        genotype = random_genotype(space, rng)
        counted = space.build(genotype, **(settings or {"searched": True})).workload(SHAPE)
        assert model.predict(space.spec, genotype) == model.actual(genotype) == getattr(counted, metric)
        seen.add(counted)
    assert len(seen) > 1


def test_the_published_network_has_its_published_size() -> None:
    space = darts.space(classes=10, ops=("max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3"))
    model = exact(space, "params", (32, 32, 3), settings={"channels": 36, "cells": 20})
    assert model.predict(space.spec, darts.published()["DARTS_V2"]) == 3_349_342
    assert model.network == {"channels": 36, "cells": 20, "classes": 10, "image": [32, 32, 3]}


def test_memory_is_exact_for_a_network_and_near_as_a_table() -> None:
    space = SPACES["hypercuboid"]
    # 76 unknowns: the table is made of twice as many networks, and held against half of that.
    model = exact(space, "memory", SHAPE, networks=10)
    assert model.actual is not None
    assert model.quality is not None
    assert model.quality.networks == 76
    assert model.quality.spearman > 0.8
    assert model.quality.mape < 0.2
    assert model.margin(0.95) >= model.margin(0.5)
    for seed in range(5):
        genotype = random_genotype(space, np.random.default_rng(seed))
        peak = program(space.build(genotype, searched=True), SHAPE).peak()
        assert model.actual(genotype) == 4 * peak
        # The images and what the stem makes of them are there together at some time.
        assert peak >= 8 * 12 * (3 + 2)


def test_memory_of_the_greatest_path_by_hand() -> None:
    space = SPACES["hypercuboid"]
    path = hypercuboid.Path((0, 2, 2, 2, 2), ("max_pool_3x3",) * 4)
    genotype = hypercuboid.to_genotype(path, hypercuboid.grid.Grid(2, 3))
    model = exact(space, "memory", SHAPE, networks=10)
    assert model.actual is not None
    found = program(space.build(genotype, searched=True), SHAPE)
    assert model.actual(genotype) == 4 * max(
        sum(found.sizes[buffer] for buffer in (*one.sources, one.target)) for one in found.kernels
    )


def test_costs_that_do_not_add_up_are_measured() -> None:
    space = SPACES["nasbench201"]
    rng = np.random.default_rng(0)
    rows = rng.integers(1, 9, (6, 5)).astype(float)
    hidden = CostTable(7.0, {"cell": rows})

    def sums(genotype: Genotype) -> float:
        return cost(hidden, space.spec, genotype)

    found = additive(space, sums)
    assert found.quality is None
    drawn = [random_genotype(space, rng) for _ in range(20)]
    assert [cost(found.table, space.spec, one) for one in drawn] == [sums(one) for one in drawn]

    found = additive(space, lambda genotype: sums(genotype) ** 2, networks=80)
    assert found.quality is not None
    assert found.quality.networks == 40
    assert 0 < found.quality.mape < 0.2
    assert found.quality.margins["0.99"] > found.quality.margins["0.5"]


def test_the_nearest_table_of_a_sum_is_close_to_it() -> None:
    space = SPACES["nasbench201"]
    hidden = CostTable(70.0, {"cell": np.random.default_rng(0).integers(1, 9, (6, 5)).astype(float)})
    found = additive(space, lambda one: cost(hidden, space.spec, one), adds_up=False)
    assert all((rows >= 0).all() for rows in found.table.rows.values())
    assert found.quality is not None
    assert found.quality.mape < 1e-3
    assert found.quality.networks == 150


def test_unknown_metric_is_one_sentence(sentence: Any) -> None:
    with sentence("exact metric", "'flops'", "macs"):
        exact(SPACES["darts"], "flops", SHAPE)
