"""Fronts and their numbers: brute force, rectangles that are known, and what must hold of any set of points."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnas.pareto.front import Box, box_of, distance, hypervolume, library, measure, nondominated

UNIT = Box(0.0, 1.0, 1.0, 0.0)
STEPS = np.array([[0.0, 0.25], [0.25, 0.5], [0.5, 1.0]])
"""Dominates 1/4 of the first quarter, 1/2 of the second and all of the rest: 1/16 + 1/8 + 1/2."""


def brute_force(points: np.ndarray) -> list[bool]:
    return [
        not any(a <= cost and b >= accuracy and (a < cost or b > accuracy) for a, b in points)
        for cost, accuracy in points
    ]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14))
def test_the_front_is_that_of_brute_force_with_ties_and_doubles(pairs: list[tuple[int, int]]) -> None:
    points = np.array(pairs, float).reshape(-1, 2)
    assert nondominated(points).tolist() == brute_force(points)


def test_the_front_prefers_small_costs_and_great_accuracies() -> None:
    assert nondominated(np.array([[1.0, 0.9], [2.0, 0.9], [0.5, 0.2], [0.5, 0.1]])).tolist() == [
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("points", "volume"),
    [
        ([], 0.0),
        ([(0.0, 1.0)], 1.0),
        ([(0.5, 0.5)], 0.25),
        ([(0.25, 0.5), (0.5, 0.75)], 0.75 * 0.5 + 0.5 * 0.25),
        ([(0.5, 0.5), (0.75, 0.25)], 0.25),
        ([(1.5, 0.9), (0.5, -0.1)], 0.0),
        (STEPS.tolist(), 0.6875),
    ],
)
def test_hypervolumes_of_rectangles(points: list[tuple[float, float]], volume: float) -> None:
    assert hypervolume(np.array(points).reshape(-1, 2), UNIT) == pytest.approx(volume)


def test_a_box_only_changes_the_units() -> None:
    box = Box(10.0, 50.0, 0.94, 0.10)
    moved = np.stack([10 + 40 * STEPS[:, 0], 0.10 + 0.84 * STEPS[:, 1]], axis=1)
    assert hypervolume(moved, box) == pytest.approx(hypervolume(STEPS, UNIT))
    assert distance(moved[:1], moved, box) == pytest.approx(distance(STEPS[:1], STEPS, UNIT))
    assert box_of(np.array([[10, 0.5], [50, 0.94], [20, 0.1]])) == box


def test_distance_counts_what_is_lacking_and_nothing_else() -> None:
    assert distance(STEPS, STEPS, UNIT) == 0
    better = np.array([[0.0, 1.0]])
    assert distance(better, STEPS, UNIT) == 0
    # To the three points from the middle one: 0.25 too dear, 0, and 0.5 less accurate.
    assert distance(STEPS[1:2], STEPS, UNIT) == pytest.approx((0.25 + 0 + 0.5) / 3)
    assert distance(np.zeros((0, 2)), STEPS, UNIT) is None


def test_sets_are_measured_by_their_mean() -> None:
    one = measure("two", [STEPS, STEPS[:1]], UNIT, STEPS)
    volumes = (hypervolume(STEPS, UNIT), hypervolume(STEPS[:1], UNIT))
    assert (one.points, one.sets) == (3, 2)
    assert one.hypervolume == pytest.approx(np.mean(volumes))
    assert (one.low, one.high) == (min(volumes), max(volumes))
    assert one.relative == pytest.approx(np.mean(volumes) / volumes[0])
    assert measure("no truth", [STEPS], UNIT, None).relative is None


def test_without_the_library_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, sentence: Callable[..., AbstractContextManager[None]]
) -> None:
    monkeypatch.setitem(sys.modules, "moocore", None)
    with sentence("moocore", "dnas[pareto]"):
        library()
