"""Tables of costs against networks that are counted as a whole."""

from typing import Any

import numpy as np
import pytest

from dnas.costs import cost, tables
from dnas.genotype import Cell, Edge, Genotype
from dnas.selection import random_genotype
from dnas.types import Group, SearchSpace
from search_spaces import darts, hypercuboid, nasbench201, rdarts

SHAPE = (8, 12, 3)
SMALL = {"classes": 3, "channels": 4, "cells": 3, "nodes": 2}
SPACES = {
    "darts": darts.space(**SMALL),
    "one edge a node kept": darts.space(**{**SMALL, "nodes": 1}, ops=("none", "skip_connect", "sep_conv_3x3")),
    "a cell for each depth": darts.space(**{**SMALL, "cells": 4}, ops=("skip_connect", "dil_conv_3x3"), levels="cells"),
    "rdarts, edges that differ": rdarts.space(**SMALL, subset="S1"),
    "rdarts, noise": rdarts.space(**SMALL, subset="S4"),
    "nasbench201": nasbench201.space(classes=3, channels=2, cells=2),
    "nasbench201 without none": nasbench201.space(classes=3, channels=2, cells=1, ops=nasbench201.OPS[1:4]),
    "hypercuboid": hypercuboid.space(classes=3, channels=2, widths=3, layers=2, head_channels=8),
}


@pytest.mark.parametrize("name", SPACES)
def test_base_and_edges_add_up_to_the_whole_network(name: str) -> None:
    space = SPACES[name]
    found = tables(space, SHAPE)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(12):
        genotype = random_genotype(space, rng)
        counted = space.build(genotype, searched=True).workload(SHAPE)
        assert {resource: cost(table, space.spec, genotype) for resource, table in found.items()} == counted._asdict()
        seen.add(counted)
    assert len(seen) > 1
    for table in found.values():
        assert table.base > 0
        for group, rows in table.rows.items():
            assert rows.shape == (space.spec[group].edges, len(space.spec[group].ops))
            assert (rows >= 0).all()


def test_settings_are_those_of_the_networks() -> None:
    space = SPACES["darts"]
    settings = {"channels": 6, "cells": 5, "auxiliary": True}
    genotype = random_genotype(space, np.random.default_rng(0))
    counted = space.build(genotype, **settings).workload(SHAPE)
    found = tables(space, SHAPE, settings)
    assert {resource: cost(table, space.spec, genotype) for resource, table in found.items()} == counted._asdict()
    assert cost(found["macs"].scaled(0.5), space.spec, genotype) == counted.macs / 2


def test_a_path_costs_what_its_edges_add_to_the_cheapest() -> None:
    space = SPACES["hypercuboid"]
    for table in tables(space, SHAPE).values():
        (rows,) = table.rows.values()
        (group,) = space.spec.values()
        offered = np.array(group.allowed)
        assert not rows[~offered].any()
        # The cheapest path enters each of its states by an edge that adds nothing.
        for incoming in group.nodes:
            edges = [edge for edge, _ in incoming]
            assert rows[edges][offered[edges]].min() == 0


def test_known_entries() -> None:
    space = SPACES["darts"]
    found = tables(space, SHAPE)
    column = space.spec["normal"].ops.index
    # One normal cell with 4 channels at full size; reductions with 8 and 16, first at half size.
    for group, places in {"normal": [(4, 1, 96)], "reduce": [(8, 2, 24), (16, 2, 6)]}.items():
        for edge, own in ((0, places), (4, [(channels, 1, pixels) for channels, _, pixels in places])):
            params, macs = (found[resource].rows[group][edge] for resource in ("params", "macs"))
            assert params[column("dil_conv_5x5")] == sum(channels * (25 + channels) for channels, _, _ in own)
            assert macs[column("dil_conv_5x5")] == sum(
                pixels * channels * (25 + channels) for channels, _, pixels in own
            )
            # A skip connection of stride 2 is two 1x1 convolutions to half of the channels each.
            assert params[column("skip_connect")] == sum(channels**2 for channels, stride, _ in own if stride == 2)
            assert not params[[column(op) for op in ("none", "max_pool_3x3", "avg_pool_3x3")]].any()


def test_edges_kept_twice_cost_twice() -> None:
    space = SPACES["darts"]
    cell = Cell(((Edge("sep_conv_3x3", 1),) * 2, (Edge("skip_connect", 2),)), (2, 3))
    genotype = Genotype("darts", (("normal", cell), ("reduce", cell)))
    counted = space.build(genotype, searched=True).workload(SHAPE)
    assert cost(tables(space, SHAPE)["macs"], space.spec, genotype) == counted.macs


def test_edges_that_enter_no_node_are_one_sentence(sentence: Any) -> None:
    refuse: Any = None
    space = SearchSpace("loose", {"loose": Group(2, ("a", "b"))}, refuse, refuse, refuse, refuse, refuse)
    with sentence("loose", "Group", "nodes"):
        tables(space, SHAPE)
