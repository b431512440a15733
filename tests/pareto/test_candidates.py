"""Limits over the costs of a space, the heaviest architectures within them, and random ones spread over the costs."""

from itertools import pairwise

import numpy as np
import pytest

from dnas.costs import CostTable
from dnas.hardware.model import EXACT, CostModel
from dnas.pareto.candidates import heaviest, price_of, spread_limits, stratified
from dnas.selection import one_hot, top_edges
from dnas.selection.within import extremes
from dnas.types import SearchSpace
from search_spaces import nasbench201

RNG = np.random.default_rng(5)
COSTS = RNG.random((6, 5))
# Dear operations weigh more, so that there is something to trade.
WEIGHTS = {"cell": (COSTS + 0.3 * RNG.random((6, 5))).astype(np.float32)}
SPACE = nasbench201.space(classes=10, channels=2, cells=1)


def model_of(space: SearchSpace, rows: dict[str, np.ndarray], base: float = 1.0) -> CostModel:
    ops = {name: tuple(group.ops) for name, group in space.spec.items()}
    return CostModel("exact", "macs", EXACT, space.name, ops, CostTable(base, rows), {}, 1, "float32", "made up")


@pytest.fixture(scope="module")
def model() -> CostModel:
    return model_of(SPACE, {"cell": COSTS})


def test_limits_go_from_the_cheapest_network_to_the_dearest(model: CostModel) -> None:
    limits = spread_limits(SPACE, model, 7)
    assert len(limits) == 7
    assert (limits[0], limits[-1]) == extremes(SPACE, model.table)
    assert all(low < high for low, high in pairwise(limits))
    same = model_of(SPACE, {"cell": np.zeros((6, 5))}, base=3.0)
    assert spread_limits(SPACE, same, 7) == (3.0,)


def test_each_limit_lets_in_as_many_architectures_more(model: CostModel) -> None:
    price, rng = price_of(SPACE, model), np.random.default_rng(9)
    costs = np.array([price(top_edges(SPACE, {"cell": rng.random((6, 5))})) for _ in range(2000)])  # type: ignore[dict-item]
    shares = [np.mean(costs <= limit) for limit in spread_limits(SPACE, model, 6)]
    assert np.allclose(shares, np.linspace(0, 1, 6), atol=0.06)


def test_what_is_found_for_a_limit_keeps_it_and_weighs_most(model: CostModel) -> None:
    limits = spread_limits(SPACE, model, 9)
    found = heaviest(SPACE, WEIGHTS, model, limits)  # type: ignore[arg-type]
    price = price_of(SPACE, model)
    totals = [float((one_hot(SPACE.spec, one)["cell"] * WEIGHTS["cell"]).sum()) for _, one in found]
    assert all(price(one) <= limit * (1 + 1e-9) for limit, one in found)
    assert all(low < high for low, high in pairwise(totals))
    assert len({one for _, one in found}) == len(found) > 3
    assert found[-1][1] == top_edges(SPACE, WEIGHTS)  # type: ignore[arg-type]
    ops = np.argmin(model.table.rows["cell"], axis=1)
    assert [edge.op for node in found[0][1]["cell"].nodes for edge in sorted(node, key=lambda one: one.source)] == [
        SPACE.spec["cell"].ops[op] for op in ops
    ]


def test_what_a_narrowed_search_cannot_keep_comes_from_the_whole_space(model: CostModel) -> None:
    dearest = np.argmax(model.table.rows["cell"], axis=1)
    allowed = tuple(tuple(column == op for column in range(5)) for op in dearest)
    narrowed = SPACE._replace(spec={"cell": SPACE.spec["cell"]._replace(allowed=allowed)})
    limits = spread_limits(SPACE, model, 4)
    assert [limit for limit, _ in heaviest(narrowed, WEIGHTS, model, limits)] == [limits[-1]]  # type: ignore[arg-type]
    assert len(heaviest(narrowed, WEIGHTS, model, limits, whole=SPACE)) > 1  # type: ignore[arg-type]


def test_what_the_device_cannot_run_is_never_found() -> None:
    rows = COSTS.copy()
    rows[:, 3] = np.nan
    holed = model_of(SPACE, {"cell": rows})
    limits = spread_limits(SPACE, holed, 5)
    kept = [one for _, one in heaviest(SPACE, WEIGHTS, holed, limits)]  # type: ignore[arg-type]
    drawn = stratified(SPACE, price_of(SPACE, holed), np.random.default_rng(0), 50)
    assert kept
    assert len(drawn) == 50
    for one in (*kept, *drawn):
        assert "nor_conv_3x3" not in str(one)


def test_random_architectures_differ_are_spread_and_begin_alike(model: CostModel) -> None:
    price = price_of(SPACE, model)
    many = stratified(SPACE, price, np.random.default_rng(3), 60)
    assert len(set(many)) == 60
    assert stratified(SPACE, price, np.random.default_rng(3), 60) == many
    costs = np.array([price(one) for one in many])
    low, high = costs.min(), costs.max()
    # Uniformly drawn ones would be crowded in the middle: here each third holds about as many.
    for part in (costs, costs[:20]):
        counts, _ = np.histogram(part, np.linspace(low, high, 4))
        assert counts.min() >= 0.2 * len(part)
    assert stratified(SPACE, price, np.random.default_rng(3), 0) == []
