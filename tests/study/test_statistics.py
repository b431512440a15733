"""What seeds say together: spreads, exact p-values and their adjustment, collapse, curves over epochs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dnas.study.statistics import (
    LEVEL,
    collapsed,
    compare,
    holm,
    least_p,
    paired_t_p,
    permutation_p,
    seeds_needed,
    summarise,
    trace,
)

# Steps of a ten-thousandth, as accuracies on 10,000 images have them: ties are common.
differences = st.lists(st.integers(-40, 40).map(lambda step: step / 10_000), min_size=2, max_size=8)


def test_summary_of_the_finished_seeds(scored):
    [one] = summarise(scored({"darts": [0.91, None, 0.94, 0.85]}))
    values = np.array([0.91, 0.94, 0.85])
    assert (one.arm, one.n, one.failed) == ("darts", 3, 1)
    assert one.mean == pytest.approx(values.mean())
    assert one.std == pytest.approx(values.std(ddof=1))
    assert (one.best, one.worst) == (0.94, 0.85)
    assert (one.median_rank, one.kendall, one.traced) == (None, None, 0)


def test_one_seed_has_no_spread_and_none_has_nothing(scored):
    one, none = summarise(scored({"a": [0.9], "b": [None]}))
    assert (one.n, one.mean, one.std) == (1, 0.9, None)
    assert (none.n, none.failed, none.mean, none.std, none.best, none.wall_seconds) == (0, 1, None, None, None, None)


def test_means_leave_out_what_is_unknown(make_study):
    study = make_study(("darts",), (0, 1))
    first, second = study.outcomes
    second = replace(second, ranking=None, rank=10, simulated_seconds=None, wall_seconds=first.wall_seconds + 2)
    [one] = summarise(replace(study, outcomes=(first, second)))
    assert one.kendall == first.ranking.kendall
    assert one.top_spearman is None
    assert one.simulated_seconds == first.simulated_seconds
    assert one.median_rank == (first.rank + 10) / 2
    assert one.wall_seconds == first.wall_seconds + 1


@pytest.mark.parametrize(
    ("values", "p"),
    [
        ([0.1, 0.1, 0.1], 2 / 8),  # only all plus and all minus are as far from 0
        ([3, 1], 2 / 4),  # the sums are 4, 2, -2, -4
        ([3, -1], 4 / 4),  # every choice of signs is at least 2 from 0
        ([1, 0], 4 / 4),
        ([5, 1, 1], 2 / 8),
        ([5, -1, 1], 6 / 8),  # 7, 5, 5, 3 and their negatives, against 5
        ([0, 0, 0], 1.0),
        ([0.2], 1.0),
        ([0.1, 0.2, -0.3], 1.0),  # the sum is 0 up to rounding
        ([1] * 6, 2 / 64),
    ],
)
def test_permutation_p_by_hand(values, p):
    assert permutation_p(values) == p


@given(differences)
@settings(max_examples=30, deadline=None)
def test_permutation_p_agrees_with_scipy(values):
    done = stats.permutation_test(
        (np.round(10_000 * np.array(values)),), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    assert permutation_p(values) == pytest.approx(done.pvalue)
    assert permutation_p([-value for value in values]) == permutation_p(values)


def test_many_seeds_are_sampled_near_the_exact_value():
    values = np.random.default_rng(3).integers(-3, 6, 25)
    # The exact distribution of the sum, by adding one difference after the other.
    size = int(np.abs(values).sum())
    weights = np.zeros(2 * size + 1)
    weights[size] = 1.0
    for value in values:
        weights = (np.roll(weights, value) + np.roll(weights, -value)) / 2
    sums = np.arange(-size, size + 1)
    exact = weights[np.abs(sums) >= abs(values.sum())].sum()
    assert 0.001 < exact < 0.9
    assert permutation_p(values.tolist()) == pytest.approx(exact, abs=5 * np.sqrt(exact / 200_000))


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 8])
def test_least_p_is_reached_where_all_seeds_agree(seeds):
    assert permutation_p([0.01 * (i + 1) for i in range(seeds)]) == least_p(seeds)


def test_least_p_is_a_bound():
    rng = np.random.default_rng(0)
    assert all(permutation_p(rng.normal(size=5).tolist()) >= least_p(5) for _ in range(50))


def test_six_seeds_are_needed_for_one_pair():
    assert least_p(3) == 0.25
    assert seeds_needed() == 6


@pytest.mark.parametrize("pairs", [1, 3, 6, 45])
def test_seeds_needed_are_the_fewest(pairs):
    need = seeds_needed(pairs)
    assert holm([least_p(need)] + [1.0] * (pairs - 1))[0] < LEVEL
    assert holm([least_p(need - 1)] + [1.0] * (pairs - 1))[0] >= LEVEL


@pytest.mark.parametrize(
    ("given_p", "adjusted"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 * 0.01, then 2 * 0.03, and 1 * 0.04 may not be less
        ([0.04, 0.01], [0.04, 0.02]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.2], [0.2]),
        ([], []),
    ],
)
def test_holm_by_hand(given_p, adjusted):
    assert holm(given_p) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_raw_and_bonferroni(given_p):
    adjusted = holm(given_p)
    assert all(p <= q <= min(1.0, len(given_p) * p) + 1e-12 for p, q in zip(given_p, adjusted, strict=True))
    ordered = [adjusted[i] for i in np.argsort(given_p, kind="stable")]
    assert ordered == sorted(ordered)


@given(differences)
@settings(deadline=None)
def test_paired_t_agrees_with_scipy(values):
    if max(values) == min(values):
        assert paired_t_p(values) is None
    else:
        expected = stats.ttest_rel(np.array(values) + 0.5, np.full(len(values), 0.5)).pvalue
        assert paired_t_p(values) == pytest.approx(expected, rel=1e-6)


def test_t_test_needs_two_differences_that_differ():
    assert paired_t_p([0.1]) is None
    assert paired_t_p([0.9 - 0.8, 0.3 - 0.2, 0.1]) is None


def test_arms_are_compared_over_the_seeds_that_both_finished(scored):
    study = scored({"a": [0.9, 0.8, None, 0.7], "b": [0.5, None, 0.6, 0.1], "c": [None, 0.3]})
    found = {(one.first, one.second): one for one in compare(study)}
    assert set(found) == {("a", "b"), ("a", "c")}
    assert found["a", "b"].n == 2
    assert found["a", "b"].difference == pytest.approx((0.4 + 0.6) / 2)
    assert found["a", "b"].p_permutation == 0.5
    assert found["a", "b"].p_least == 0.5
    assert found["a", "c"].n == 1
    assert found["a", "c"].p_permutation == 1.0
    assert found["a", "c"].p_t is None


def test_comparison_does_not_depend_on_the_order_of_the_arms(scored):
    table = {"a": [0.9, 0.8, 0.7], "b": [0.91, 0.7, 0.65]}
    [there] = compare(scored(table))
    [back] = compare(scored(dict(reversed(table.items()))))
    assert back.difference == pytest.approx(-there.difference)
    assert (back.p_permutation, back.p_holm) == (there.p_permutation, there.p_holm)
    assert back.p_t == pytest.approx(there.p_t)


def test_adjustment_counts_all_pairs(scored):
    table = {name: [0.1 * i + 0.01 * seed * (i + 1) for seed in range(7)] for i, name in enumerate("abc")}
    assert [one.p_holm for one in compare(scored(table))] == pytest.approx([3 * least_p(7)] * 3)


def test_collapse_is_more_than_half_of_the_last_epochs_edges(make_study):
    outcome = make_study(("gdas",), (0,)).outcomes[0]
    last = outcome.epochs[-1]

    def ending(skips, edges):
        return replace(outcome, epochs=(*outcome.epochs[:-1], replace(last, skips=skips, edges=edges)))

    assert collapsed(ending(4, 6)) is True
    assert collapsed(ending(3, 6)) is False
    assert collapsed(ending(3, 5)) is True
    assert collapsed(replace(outcome, epochs=())) is None


def test_trace_takes_mean_and_range_over_the_runs_that_have_a_number(make_study):
    runs = make_study(("darts", "gdas"), (0, 1), epochs=3).outcomes[:2]
    values = {(0, 1): 0.5, (0, 2): float("nan"), (0, 3): None, (1, 1): 0.7, (1, 2): 0.8, (1, 3): None}
    where = {id(epoch): (run, epoch.epoch) for run, one in enumerate(runs) for epoch in one.epochs}
    found = trace(runs, lambda epoch: values[where[id(epoch)]])
    assert found.epoch == (1, 2)
    assert found.mean == pytest.approx((0.6, 0.8))
    assert found.low == (0.5, 0.8)
    assert found.high == (0.7, 0.8)
