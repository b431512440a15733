"""The best architecture within limits against all architectures, one by one."""

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from dnas.costs import CostTable, can_be_kept, cost
from dnas.genotype import Genotype
from dnas.selection import one_hot, random_genotype, top_edges
from dnas.selection.within import extremes, within
from dnas.types import Group, SearchSpace
from search_spaces import nasbench201
from search_spaces.hypercuboid.grid import END, Grid

OPS = ("none", "a", "b", "c")
NODES = (((0, 0), (1, 1)), ((2, 0), (3, 1), (4, 2)))
GROUPS = {
    "kept": Group(5, OPS, NODES, keep=2, concat=(2, 3)),
    "whole": Group(5, OPS, NODES, keep=None, concat=(2, 3)),
    "own": Group(5, OPS, NODES, keep=1, allowed=((True, True, False, True),) * 3 + ((False, False, True, True),) * 2),
    "path": Grid(layers=1, widths=2).group(("a", "b", END)),
}


def choices(group: Group) -> Iterator[list[tuple[int, int]]]:
    """Yield the `(edge, column)` pairs of every architecture of a group."""
    can = can_be_kept(group)
    for edges in _path_edges(group, group.concat[0]) if group.path else _kept_edges(group):
        for columns in product(*(np.flatnonzero(can[edge]).tolist() for edge in edges)):
            yield list(zip(edges, columns, strict=True))


def _kept_edges(group: Group) -> Iterator[tuple[int, ...]]:
    nodes = []
    for incoming in group.nodes:
        edges = [edge for edge, _ in incoming]
        nodes.append(list(combinations(edges, len(edges) if group.keep is None else min(group.keep, len(edges)))))
    for parts in product(*nodes):
        yield tuple(edge for part in parts for edge in part)


def _path_edges(group: Group, state: int) -> Iterator[tuple[int, ...]]:
    inputs = group.concat[0] + 1 - len(group.nodes)
    if state < inputs:
        yield ()
        return
    for edge, source in group.nodes[state - inputs]:
        for before in _path_edges(group, source):
            yield (*before, edge)


def sums(space: SearchSpace, rows: dict[str, np.ndarray]) -> np.ndarray:
    """Return the sum of the rows' entries over the kept operations of every architecture of the space."""
    totals = np.zeros(1)
    for name, group in space.spec.items():
        own = np.array([sum(rows[name][pair] for pair in choice) for choice in choices(group)])
        totals = (totals[:, None] + own).ravel()
    return totals


def drawn(space: SearchSpace, rng: np.random.Generator, whole: bool = False) -> dict[str, np.ndarray]:
    def one(group: Group) -> np.ndarray:
        size = (group.edges, len(group.ops))
        return rng.integers(0, 50, size).astype(float) if whole else rng.random(size).astype(np.float32)

    return {name: one(group) for name, group in space.spec.items()}


def weight(space: SearchSpace, genotype: Genotype, weights: dict[str, np.ndarray]) -> float:
    return cost(CostTable(0.0, weights), space.spec, genotype)


@pytest.mark.parametrize("names", [("kept",), ("whole",), ("own",), ("path",), ("own", "path")], ids="+".join)
@pytest.mark.parametrize("seed", range(3))
def test_no_affordable_architecture_weighs_more(names: tuple[str, ...], seed: int, space_of: Any) -> None:
    space, rng = space_of(**{name: GROUPS[name] for name in names}), np.random.default_rng(seed)
    weights, table = drawn(space, rng), CostTable(7.0, drawn(space, rng, whole=True))
    worth, costs = sums(space, weights), 7.0 + sums(space, table.rows)  # type: ignore[arg-type]
    assert extremes(space, table) == (costs.min(), costs.max())
    for limit in (costs.min(), *np.quantile(costs, [0.01, 0.1, 0.5]).tolist()):
        found = within(space, weights, [table], [limit])  # type: ignore[arg-type]
        assert found is not None
        assert cost(table, space.spec, found) <= limit
        assert weight(space, found, weights) == pytest.approx(worth[costs <= limit].max(), rel=1e-6)
    assert within(space, weights, [table], [costs.min() - 1]) is None  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cell() -> SearchSpace:
    return nasbench201.space(classes=2, channels=2, cells=1)


@pytest.mark.parametrize("seed", range(3))
def test_all_of_nasbench201_under_two_limits(cell: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, first, second = drawn(cell, rng), drawn(cell, rng, whole=True), drawn(cell, rng)
    worth, *costs = (sums(cell, rows) for rows in (weights, first, second))  # type: ignore[arg-type]
    assert len(worth) == 15_625
    tables, limits = [CostTable(0.0, first), CostTable(0.0, second)], [float(np.quantile(own, 0.2)) for own in costs]
    inside = (costs[0] <= limits[0]) & (costs[1] <= limits[1])
    found = within(cell, weights, tables, limits)  # type: ignore[arg-type]
    assert found is not None
    assert weight(cell, found, weights) == pytest.approx(worth[inside].max(), rel=1e-6)
    assert within(cell, weights, tables, limits) == found  # type: ignore[arg-type]
    # Each limit can be kept, but not both.
    opposed = [CostTable(0.0, first), CostTable(300.0, {name: -rows for name, rows in first.items()})]
    middle = float(np.median(costs[0]))
    assert within(cell, weights, opposed, [middle, 299.0 - middle]) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("seed", range(5))
def test_without_limits_it_is_top_edges(name: str, seed: int, space_of: Any) -> None:
    space = space_of(**{name: GROUPS[name]})
    weights = drawn(space, np.random.default_rng(seed))
    assert within(space, weights, [], []) == top_edges(space, weights)  # type: ignore[arg-type]
    # The program itself comes to the same, where a limit keeps out only what is not the best.
    best = one_hot(space.spec, top_edges(space, weights))[name]  # type: ignore[arg-type]
    table = CostTable(0.0, {name: 1.0 - np.asarray(best, float)})
    only = within(space, {name: np.zeros_like(weights[name])}, [table], [0.0])  # type: ignore[dict-item]
    assert only is not None
    np.testing.assert_array_equal(one_hot(space.spec, only)[name], best)


def test_kept_edges_stand_in_order_of_decreasing_weight(space_of: Any) -> None:
    space = space_of(kept=GROUPS["kept"])
    rng = np.random.default_rng(0)
    weights, table = drawn(space, rng), CostTable(0.0, drawn(space, rng, whole=True))
    limit = float(np.quantile(sums(space, table.rows), 0.05))  # type: ignore[arg-type]
    found = within(space, weights, [table], [limit])  # type: ignore[arg-type]
    assert found is not None
    for incoming, kept in zip(GROUPS["kept"].nodes, found["kept"].nodes, strict=True):
        row_of = {source: edge for edge, source in incoming}
        own = [weights["kept"][row_of[edge.source], OPS.index(edge.op)] for edge in kept]
        assert own == sorted(own, reverse=True)


@pytest.mark.parametrize("name", GROUPS)
def test_what_cannot_be_run_is_never_kept(name: str, space_of: Any) -> None:
    group = GROUPS[name]
    space, rng = space_of(**{name: group}), np.random.default_rng(1)
    weights, table = drawn(space, rng), CostTable(0.0, drawn(space, rng, whole=True))
    holes = table.rows[name].copy()
    holes[0, 1] = holes[3, 2] = np.nan
    holed = CostTable(0.0, {name: holes})
    weights[name][0, 1] = weights[name][3, 2] = 5.0
    everything = sums(space, {name: holes})
    least, most = extremes(space, holed)  # type: ignore[misc]
    assert (least, most) == (np.nanmin(everything), np.nanmax(everything))
    for limit in (least, most):
        found = within(space, weights, [holed], [limit])  # type: ignore[arg-type]
        assert found is not None
        assert cost(holed, space.spec, found) <= limit
        inside = everything <= limit
        assert weight(space, found, weights) == pytest.approx(sums(space, weights)[inside].max(), rel=1e-6)
    nothing = CostTable(0.0, {name: np.full_like(holes, np.nan)})
    assert extremes(space, nothing) is None
    assert within(space, weights, [nothing], [1.0]) is None  # type: ignore[arg-type]


def test_sums_that_round_are_within_their_own_cost(cell: SearchSpace) -> None:
    rng = np.random.default_rng(2)
    table = CostTable(0.1, {name: rng.integers(1, 9, rows.shape) / 10 for name, rows in drawn(cell, rng).items()})
    for _ in range(5):
        genotype = random_genotype(cell, rng)
        own = cost(table, cell.spec, genotype)
        found = within(cell, one_hot(cell.spec, genotype), [table], [own])
        assert found == genotype


def test_weights_that_are_not_finite_are_refused(cell: SearchSpace) -> None:
    weights = {name: np.full(rows.shape, np.nan) for name, rows in drawn(cell, np.random.default_rng(0)).items()}
    with pytest.raises(ValueError, match="finite"):
        within(cell, weights, [], [])  # type: ignore[arg-type]


def test_what_cannot_be_run_is_passed_over() -> None:
    space = nasbench201.space(classes=2, channels=4, cells=1)
    rows = np.random.default_rng(0).random((6, 5)).astype(np.float32)
    best = top_edges(space, {"cell": rows})
    kept: list[Genotype] = []
    while len(kept) < 4:
        found = within(space, {"cell": rows}, [], [], runs=lambda genotype: genotype not in kept)
        assert found is not None
        kept.append(found)
    totals = sorted((float(rows[np.arange(6), list(ops)].sum()) for ops in product(range(5), repeat=6)), reverse=True)
    worth = [float((np.asarray(one_hot(space.spec, one)["cell"]) * rows).sum()) for one in kept]
    assert kept[0] == best
    assert len(set(kept)) == 4
    np.testing.assert_allclose(worth, totals[:4], rtol=1e-5)
