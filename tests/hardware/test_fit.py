"""Fits recover additive tables that were planted, and say how wrong they are; patterns say what cannot be run."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from dnas.costs import CostTable, can_be_kept, cost
from dnas.hardware.fit import cross_validate, design, fit, predict, quality, unknowns
from dnas.hardware.spread import spread
from dnas.hardware.unsupported import matches, summarised
from dnas.selection import random_genotype
from dnas.types import SearchSpace
from search_spaces import darts, nasbench201, rdarts

SPACES = {
    "nasbench201": nasbench201.space(classes=2),
    "nasbench201, three operations": nasbench201.space(classes=2, ops=nasbench201.OPS[1:4]),
    "darts": darts.space(classes=2, nodes=2, ops=("none", "skip_connect", "sep_conv_3x3")),
    "rdarts, edges that differ": rdarts.space(classes=2, nodes=2, subset="S1"),
}


def planted(space: SearchSpace, seed: int = 0) -> CostTable:
    rng = np.random.default_rng(seed)
    rows = {
        name: np.where(can_be_kept(group), rng.uniform(0, 3, (group.edges, len(group.ops))), 0.0)
        for name, group in space.spec.items()
    }
    return CostTable(7.0, rows)


def measured(space: SearchSpace, table: CostTable, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    genotypes = [random_genotype(space, rng) for _ in range(count)]
    costs = np.array([cost(table, space.spec, one) for one in genotypes])
    return design(space.spec, genotypes), costs


@pytest.mark.parametrize("name", SPACES)
def test_a_planted_table_predicts_networks_that_were_not_fitted_exactly(name: str) -> None:
    space = SPACES[name]
    architectures, costs = measured(space, planted(space), 4 * unknowns(space.spec))
    half = 3 * unknowns(space.spec)
    found = fit(space.spec, architectures[:half], costs[:half])
    assert found.base >= 0
    assert all((rows >= 0).all() for rows in found.rows.values())
    predicted = predict(space.spec, found, architectures[half:])
    np.testing.assert_allclose(predicted, costs[half:], rtol=1e-4)
    assert quality(costs[half:], predicted).spearman > 0.999


def test_where_every_edge_is_kept_the_table_itself_is_recovered() -> None:
    space = SPACES["nasbench201"]
    table = planted(space)
    architectures, costs = measured(space, table, 200)
    found = fit(space.spec, architectures, costs)
    least = table.rows["cell"].min(axis=1, keepdims=True)
    np.testing.assert_allclose(found.rows["cell"], table.rows["cell"] - least, atol=2e-3)
    assert found.base == pytest.approx(table.base + least.sum(), abs=2e-3)
    assert (found.rows["cell"].min(axis=1) == 0).all()


@pytest.mark.parametrize("factor", [1e-3, 1e6])
def test_the_fit_does_not_depend_on_the_unit(factor: float) -> None:
    space = SPACES["nasbench201"]
    architectures, costs = measured(space, planted(space), 60)
    costs = costs * np.random.default_rng(2).uniform(0.8, 1.2, len(costs))
    one, other = (fit(space.spec, architectures, times * costs) for times in (1.0, factor))
    np.testing.assert_allclose(factor * one.rows["cell"], other.rows["cell"], rtol=1e-5, atol=1e-5 * factor)


def test_an_operation_that_was_never_measured_on_an_edge_costs_what_it_costs_elsewhere() -> None:
    space = SPACES["nasbench201"]
    table = CostTable(2.0, {"cell": np.tile([0.0, 1.0, 2.0, 5.0, 3.0], (6, 1))})
    architectures, costs = measured(space, table, 300)
    seen = architectures[:, 3] == 0
    found = fit(space.spec, architectures[seen], costs[seen])
    np.testing.assert_allclose(found.rows["cell"], table.rows["cell"], atol=1e-2)


def test_an_operation_that_cannot_be_run_on_an_edge_is_nan_there_and_nowhere_else() -> None:
    space = SPACES["nasbench201"]
    architectures, costs = measured(space, planted(space), 300)
    cannot = architectures[:, 7] > 0
    found = fit(space.spec, architectures, np.where(cannot, np.nan, costs))
    assert np.flatnonzero(np.isnan(found.rows["cell"].ravel())).tolist() == [7]
    np.testing.assert_array_equal(np.isnan(predict(space.spec, found, architectures)), cannot)
    without = fit(space.spec, architectures[~cannot], costs[~cannot])
    known = ~np.isnan(found.rows["cell"])
    np.testing.assert_allclose(found.rows["cell"][known], without.rows["cell"][known], atol=1e-9)
    for genotype in (nasbench201.from_index(index) for index in range(30)):
        one = design(space.spec, [genotype])
        np.testing.assert_allclose(cost(found, space.spec, genotype), predict(space.spec, found, one)[0])


def test_the_base_is_not_negative_where_least_squares_would_have_it_so() -> None:
    space = SPACES["nasbench201"]
    architectures, costs = measured(space, planted(space), 200)
    found = fit(space.spec, architectures, np.maximum(costs - costs.min(), 0) ** 2)
    assert found.base == 0
    assert (predict(space.spec, found, architectures) >= 0).all()


def test_unknowns_are_the_rank_of_all_architectures() -> None:
    for name in ("nasbench201", "nasbench201, three operations"):
        spec = SPACES[name].spec
        architectures, _ = measured(SPACES[name], planted(SPACES[name]), 400)
        matrix = np.concatenate([np.ones((400, 1)), architectures], axis=1)
        assert unknowns(spec) == np.linalg.matrix_rank(matrix)


def test_too_few_networks_are_refused(sentence: Callable[..., object]) -> None:
    space = SPACES["nasbench201"]
    architectures, costs = measured(space, planted(space), 24)
    with sentence("24 measured networks", "the 25 numbers"):
        fit(space.spec, architectures, costs)
    with sentence("1 networks"):
        quality(costs[:1], costs[:1])


def test_cross_validation_looks_at_networks_that_were_left_out() -> None:
    space = SPACES["nasbench201"]
    architectures, costs = measured(space, planted(space), 100)
    assert cross_validate(space.spec, architectures, costs).r2 > 0.9999
    noise = np.random.default_rng(3).uniform(1, 2, 100)
    inside = quality(noise, predict(space.spec, fit(space.spec, architectures, noise, (1e-6,)), architectures))
    assert inside.r2 > 0.1 > cross_validate(space.spec, architectures, noise).r2


def test_quality_against_its_definitions() -> None:
    true, predicted = np.array([1.0, 2.0, 4.0, 5.0, np.nan]), np.array([2.0, 1.0, 4.0, 10.0, 3.0])
    found = quality(true, predicted)
    assert found.networks == 4
    assert found.spearman == pytest.approx(0.8)
    assert found.kendall == pytest.approx(4 / 6)
    assert found.r2 == pytest.approx(1 - 27 / 10)
    assert found.mape == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    # Relative errors are -1/2, 1, 0, -1/2: half of the networks cost at most what is predicted.
    assert found.margins["0.8"] == 1.0
    assert found.margins["0.5"] == 0.0
    rng = np.random.default_rng(0)
    true, predicted = rng.uniform(1, 2, 1000), rng.uniform(1, 2, 1000)
    for share, margin in quality(true, predicted).margins.items():
        assert np.mean(true <= (1 + margin + 1e-12) * predicted) >= float(share)
    assert quality(np.ones(5), np.arange(1.0, 6.0)).spearman == 0


def test_networks_that_are_spread_hold_every_pair_of_operations_about_equally_often() -> None:
    spec = SPACES["nasbench201"].spec
    every = design(spec, list(nasbench201.enumerate_all()))
    chosen = spread(every, 100, np.random.default_rng(0))
    assert len(set(chosen.tolist())) == 100
    pairs = every[chosen].T @ every[chosen]
    apart = np.kron(1 - np.eye(6), np.ones((5, 5))) > 0
    # On average 4; a random choice has pairs that never come and pairs that come a dozen times.
    assert 2 <= pairs[apart].min() <= pairs[apart].max() <= 6
    np.testing.assert_array_equal(chosen, spread(every, 100, np.random.default_rng(0)))
    assert sorted(spread(every[:7], 9, np.random.default_rng(0))) == list(range(7))


def test_patterns_say_exactly_what_cannot_be_run() -> None:
    ops = ("a", "b", "c")
    every = np.array(list(product(range(3), repeat=4)))
    rule = (every[:, 0] == 0) & (every[:, 2] > 0) | (every[:, 1] == 2) & (every[:, 3] == 1)
    patterns = summarised(ops, every, ~rule)
    assert set(patterns) == {("a", "*", "b c", "*"), ("*", "c", "*", "b")}
    scattered = np.random.default_rng(0).random(len(every)) < 0.3
    for refused in (rule, scattered):
        found = {"cell": summarised(ops, every, ~refused)}
        said = [matches(found, {"cell": ops}, {"cell": np.eye(3)[one]}) for one in every]  # type: ignore[dict-item]
        np.testing.assert_array_equal(said, refused)
    assert summarised(ops, every, np.ones(len(every), bool)) == ()
