"""Margins by how dear a network is."""

import numpy as np
import pytest

from dnas.hardware.margins import Region, affordable, at, by_cost, measured, raised

REGIONS = (Region(10.0, {"0.95": 0.5}), Region(20.0, {"0.95": 0.0}), Region(40.0, {"0.95": 0.1}))
LEAST = 1e-9


@pytest.mark.parametrize(
    ("limit", "most"),
    [
        (3.0, 2.0),  # in the first region: 2 * 1.5
        (14.9, 14.9 / 1.5),
        (15.0, 15.0),  # all of the first, and of the second what is within
        (20.0, 20.0),  # at the end of the second
        (21.0, 20.0),  # the third begins at 22 raised
        (33.0, 30.0),
        (110.0, 100.0),  # beyond all that was measured
    ],
)
def test_the_largest_prediction_within_a_limit(limit: float, most: float) -> None:
    assert affordable(REGIONS, limit, 0.95) == pytest.approx(most)


def test_a_prediction_is_within_the_limit_that_it_is_raised_to_and_no_less() -> None:
    predictions = np.linspace(0.1, 60, 400)
    limits = [raised(REGIONS, one, 0.95) for one in predictions]
    assert limits == sorted(limits), "a dearer prediction is never raised to less"
    for one, limit in zip(predictions, limits, strict=True):
        assert affordable(REGIONS, limit * (1 + 1e-9), 0.95) >= one
        assert affordable(REGIONS, limit * (1 - 1e-6), 0.95) < one


def test_in_each_region_so_many_networks_cost_no_more() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.uniform(1, 100, 3000)
    # Cheap networks are said far worse than dear ones.
    true = predicted * (1 + rng.exponential(2 / predicted))
    regions = by_cost(true, predicted, LEAST)
    assert len(regions) == 30
    assert regions[0].margins["0.95"] > 10 * regions[-1].margins["0.95"]
    overall = at(measured(true, predicted, LEAST), 0.95)
    begin = 0.0
    for region in regions:
        own = (begin < predicted) & (predicted <= region.upto)
        assert np.mean(true[own] <= predicted[own] * (1 + region.margins["0.95"])) >= 0.95
        begin = region.upto
    # What is said to be within a limit keeps it, also where one margin for all fails.
    limit = 12.0
    said, all_alike = predicted <= affordable(regions, limit, 0.95), predicted * (1 + overall) <= limit
    assert np.mean(true[said] > limit) < np.mean(true[all_alike] > limit)


def test_networks_of_which_the_same_is_said_leave_no_region_with_a_few() -> None:
    # Quantiles alone would make a region of the ten between 190 that are the same and the second quarter's end.
    predicted = np.concatenate([np.full(190, 1.0), np.full(3, 2.0), np.linspace(3, 4, 207)])
    regions = by_cost(predicted, predicted, LEAST)
    places = np.searchsorted([region.upto for region in regions], predicted)
    assert len(regions) > 2
    assert np.bincount(places).min() >= 50
    # And one of the three dearest.
    dearest = np.concatenate([np.linspace(1, 2, 100), np.full(260, 5.0), np.full(3, 6.0)])
    assert [round(region.upto) for region in by_cost(dearest, dearest, LEAST)] == [6]


def test_few_networks_make_no_regions() -> None:
    costs = np.arange(1.0, 251.0)
    assert by_cost(costs[:150], costs[:150], LEAST) == ()
    assert [round(region.upto) for region in by_cost(costs, costs, LEAST)] == [126, 250]
    assert len(by_cost(np.ones(250), np.ones(250), LEAST)) == 1, "all are said to cost the same"


def test_no_confidence_takes_predictions_as_they_are() -> None:
    assert raised(REGIONS, 7.0, 0.0) == 7.0
    assert affordable(REGIONS, 7.0, 0.0) == 7.0
    assert at({}, 0.95) == 0.0
    assert at({"0.5": 0.0, "0.9": 0.4}, 0.7) == pytest.approx(0.2)
