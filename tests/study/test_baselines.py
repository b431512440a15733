"""Replayed searches and what chance achieves: closed forms, budgets, and the published numbers."""

from itertools import pairwise, product

import numpy as np
import pytest

from dnas.benchmarks import nasbench201
from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.study import baselines
from dnas.study.baselines import Trace
from dnas.table import Table

SEARCHES = [baselines.random_search, baselines.regularised_evolution]
OPS = "abcd"


def genotype(ops: tuple[str, ...]) -> Genotype:
    nodes = ((Edge(ops[0], 0),), (Edge(ops[1], 0), Edge(ops[2], 1)), (Edge(ops[3], 0), Edge(ops[4], 1)))
    return Genotype("toy", (("cell", Cell(nodes, (3,))),))


@pytest.fixture(scope="module")
def table() -> Table:
    """1,024 architectures whose accuracy is a sum over edges and noise, so that good ones are neighbours."""
    rng = np.random.default_rng(0)
    rows = np.array(list(product(range(len(OPS)), repeat=5)))
    worth = rng.random((5, len(OPS)))[np.arange(5), rows].sum(axis=1) / 5
    return Table(
        "Toy",
        "toy.npz",
        tuple(genotype(tuple(OPS[code] for code in row)) for row in rows),
        {
            ("digits", 200, "test"): 0.4 + 0.5 * worth,
            # Rounded, so that many are equal.
            ("digits", 12, "val"): np.round(0.3 + 0.4 * worth + rng.normal(0, 0.02, len(rows)), 2),
            ("letters", 200, "test"): worth,
        },
        {("digits", 12): rng.uniform(1, 3, len(rows))},
        {},
        {},
    )


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("budget", [0.5, 5.0, 40.0, 400.0])
def test_a_budget_is_spent_as_far_as_whole_trainings_go(table: Table, search, budget: float) -> None:
    costs = table.costs("digits", 12)
    for seed in range(20):
        trace = search(table, "digits", np.random.default_rng(seed), budget)
        assert trace.cost.shape == trace.incumbent.shape
        paid = np.diff(trace.cost, prepend=0.0)
        assert np.isclose(paid[:, None], costs).any(axis=1).all()
        spent = trace.cost[-1] if len(trace.cost) else 0.0
        assert budget - costs.max() < spent <= budget


@pytest.mark.parametrize("search", SEARCHES)
def test_the_incumbent_changes_only_for_better_validation_and_when_it_is_paid(table: Table, search) -> None:
    selection, costs = table.scores("digits", 12, "val"), table.costs("digits", 12)
    trace = search(table, "digits", np.random.default_rng(1), 300.0)
    paid = np.diff(trace.cost, prepend=0.0)
    assert np.isclose(paid[0], costs[trace.incumbent[0]])
    for step, (old, new) in enumerate(pairwise(trace.incumbent), start=1):
        if new != old:
            assert selection[new] > selection[old]
            assert np.isclose(paid[step], costs[new])
    assert len(set(trace.incumbent.tolist())) > 2


@pytest.mark.parametrize("search", SEARCHES)
def test_a_longer_search_begins_like_a_shorter_one(table: Table, search) -> None:
    short, long = (search(table, "digits", np.random.default_rng(2), budget) for budget in (50.0, 50.5))
    count = len(short.cost)
    np.testing.assert_array_equal(short.cost, long.cost[:count])
    np.testing.assert_array_equal(short.incumbent, long.incumbent[:count])


@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_without_costs_is_refused(table: Table, search) -> None:
    with pytest.raises(UserError, match="no training times of 12 epochs on letters"):
        search(table, "letters", np.random.default_rng(0), 10.0)


def test_random_search_expects_the_best_of_as_many_as_it_trains(table: Table) -> None:
    """With equal costs a budget of n trainings is a draw of n."""
    scores, selection = table.scores("digits"), table.scores("digits", 12, "val")
    equal = Table(
        table.name, table.source, table.architectures, table.accuracies, {("digits", 12): np.ones(1024)}, {}, {}
    )
    traces = [baselines.random_search(equal, "digits", np.random.default_rng(i), 20.0) for i in range(4000)]
    assert {len(trace.cost) for trace in traces} == {20}
    for n in (1, 5, 20):
        found = np.array([scores[trace.incumbent[n - 1]] for trace in traces])
        error = found.std() / np.sqrt(len(found))
        assert abs(found.mean() - baselines.expected_best(selection, scores, n)) < 4 * error


@pytest.mark.parametrize("seed", range(20))
def test_evolution_keeps_the_rules_of_ageing(table: Table, seed: int) -> None:
    """A sample of 500 with replacement holds all six alive, so that each child's parent is the best of the last six."""
    selection = table.scores("digits", 12, "val")
    stream = baselines._evolve(table.neighbours, selection, np.random.default_rng(seed), 6, 500)
    rows = [next(stream) for _ in range(60)]
    for born in range(6, len(rows)):
        alive = rows[born - 6 : born]
        best = max(selection[alive])
        assert any(rows[born] in table.neighbours[parent] for parent in alive if selection[parent] == best)


def test_evolution_draws_parents_and_mutations_evenly(table: Table) -> None:
    """With a sample of one, every member is a parent as often, and every neighbour a child as often."""
    flat = np.zeros(1024)
    rng = np.random.default_rng(0)
    counts: dict[int, int] = {}
    for _ in range(3000):
        stream = baselines._evolve(table.neighbours, flat, rng, 1, 1)
        parent, child = next(stream), next(stream)
        place = int(np.flatnonzero(table.neighbours[parent] == child)[0])
        counts[place] = counts.get(place, 0) + 1
    # 20 places of which, for each parent, the five of its own operations are empty.
    assert len(counts) == 20
    expected = 3000 / 20
    assert max(abs(count - expected) for count in counts.values()) < 5 * np.sqrt(expected)


def test_evolution_beats_random_search_where_neighbours_are_alike(table: Table) -> None:
    scores = table.scores("digits")
    mean = {
        search: baselines.at_cost(
            [search(table, "digits", np.random.default_rng(i), 300.0) for i in range(100)], scores, 300.0
        )
        for search in SEARCHES
    }
    assert mean[baselines.regularised_evolution] > mean[baselines.random_search] > scores.mean()


def test_an_architecture_without_neighbours_does_not_stop_evolution() -> None:
    lone = Table(
        "Lone",
        "lone.npz",
        (genotype(("a",) * 5),),
        {("digits", 12, "val"): np.array([0.5])},
        {("digits", 12): np.array([2.0])},
        {},
        {},
    )
    trace = baselines.regularised_evolution(lone, "digits", np.random.default_rng(0), 41.0)
    np.testing.assert_array_equal(trace.cost, np.arange(2.0, 41.0, 2.0))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_expected_best_is_the_mean_over_all_draws(n: int) -> None:
    """Every sequence of n draws, counted one by one; equals share."""
    selection = np.array([0.1, 0.5, 0.5, 0.3, 0.5])
    scores = np.array([0.9, 0.2, 0.6, 0.4, 0.1])
    found = []
    for draw in product(range(5), repeat=n):
        best = max(selection[list(draw)])
        found.append(np.mean([scores[row] for row in draw if selection[row] == best]))
    assert baselines.expected_best(selection, scores, n) == pytest.approx(np.mean(found), rel=1e-12)


def test_expected_best_has_the_limits_of_chance_and_of_the_whole_space(table: Table) -> None:
    scores, selection = table.scores("digits"), table.scores("digits", 12, "val")
    top = selection == selection.max()
    assert baselines.expected_best(selection, scores, 1) == pytest.approx(scores.mean())
    assert baselines.expected_best(selection, scores, 10**6) == pytest.approx(scores[top].mean())
    assert baselines.expected_best(scores, scores, 10**6) == pytest.approx(scores.max())


def test_expected_best_of_none_is_refused() -> None:
    with pytest.raises(UserError, match="at least 1"):
        baselines.expected_best(np.ones(3), np.ones(3), 0)


def test_a_band_holds_the_score_of_what_is_paid_for() -> None:
    scores = np.array([0.2, 0.4, 0.9])
    traces = [
        Trace(np.array([1.0, 3.0]), np.array([0, 2])),
        Trace(np.array([2.0]), np.array([1])),
        Trace(np.array([]), np.array([], dtype=int)),
    ]
    grid = np.array([0.5, 1.0, 2.5, 3.0, 99.0])
    held = np.array([[0.5, 0.2, 0.2, 0.9, 0.9], [0.5, 0.5, 0.4, 0.4, 0.4], [0.5] * 5])
    band = baselines.band("mine", traces, scores, grid)
    assert (band.name, band.repeats) == ("mine", 3)
    np.testing.assert_array_equal(band.cost, grid)
    np.testing.assert_allclose(band.mean, held.mean(axis=0))
    np.testing.assert_allclose(band.low, np.quantile(held, 0.1, axis=0))
    np.testing.assert_allclose(band.high, np.quantile(held, 0.9, axis=0))
    for cost, mean in zip(grid, band.mean, strict=True):
        assert baselines.at_cost(traces, scores, float(cost)) == pytest.approx(mean)


def test_landmarks_are_statistics_of_the_space_best_first(table: Table) -> None:
    scores = table.scores("digits")
    found = baselines.landmarks(table, "digits")
    marks = {mark.name: mark.score for mark in found}
    assert [mark.score for mark in found] == sorted(marks.values(), reverse=True)
    selection = table.scores("digits", 12, "val")
    assert marks == {
        "optimum": scores.max(),
        "median of the space": np.median(scores),
        "mean of the space": pytest.approx(scores.mean()),
        "best of 10 random": baselines.expected_best(selection, scores, 10),
        "best of 100 random": baselines.expected_best(selection, scores, 100),
    }
    assert {mark.name for mark in baselines.landmarks(table, "letters")} == set(list(marks)) - {
        "best of 10 random",
        "best of 100 random",
    }


def test_published_random_search(published_table: Table) -> None:
    """Of 10 / 100 / 500 trained networks the best has 93.01 / 93.73 / 93.97 %."""
    scores = published_table.scores("cifar10")
    full, short = published_table.scores("cifar10", 200, "val"), published_table.scores("cifar10", 12, "val")
    assert 100 * baselines.expected_best(full, scores, 10) == pytest.approx(93.01, abs=0.01)
    assert 100 * baselines.expected_best(full, scores, 500) == pytest.approx(93.97, abs=0.01)
    assert 100 * baselines.expected_best(short, scores, 100) == pytest.approx(93.73, abs=0.02)


def test_on_the_published_table_evolution_is_ahead_and_both_beat_the_plain_network(published_table: Table) -> None:
    scores = published_table.scores("cifar10")
    plain = dict(nasbench201.reference_networks())["all 3x3 convolutions"]
    random, evolution = (
        baselines.at_cost(
            [search(published_table, "cifar10", np.random.default_rng(i), 20_000.0) for i in range(60)],
            scores,
            20_000.0,
        )
        for search in SEARCHES
    )
    assert published_table.accuracy(plain, "cifar10") < random < evolution < scores.max()
