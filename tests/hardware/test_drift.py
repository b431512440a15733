"""Times are taken out of what the machine's speed did meanwhile."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from dnas.hardware.measure.drift import REACH, steady
from dnas.hardware.measure.timing import timed

PROGRAMS, ROUNDS = 30, 9


def in_turn(rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([rng.permutation(PROGRAMS) for _ in range(ROUNDS)])


def stretches(rng: np.random.Generator, count: int, slow: float) -> np.ndarray:
    """Return the speed of a machine that is slow for stretches of about 12 measurements, half of the time."""
    changes = rng.random(count) < 1 / 12
    return np.where(np.cumsum(changes) % 2 == 0, 1.0, slow)


@pytest.mark.parametrize("seed", range(5))
def test_slow_stretches_are_taken_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    which, right = in_turn(rng), rng.uniform(0.04, 0.1, PROGRAMS)
    seconds = right[which] * stretches(rng, len(which), 1.8) * np.exp(rng.normal(0, 0.01, len(which)))

    def off(times: np.ndarray) -> float:
        """Return how far programs' medians are from the right times, up to a factor of all of them."""
        ratio = np.array([np.median(times[which == one]) for one in range(PROGRAMS)]) / right
        return float(np.mean(np.abs(np.log(ratio / np.median(ratio)))))

    found = steady(which, seconds)
    assert off(found.seconds) < 0.02
    assert off(seconds) > 0.1
    assert found.swing == pytest.approx(1.8, rel=0.05)


def test_a_steady_machine_is_left_alone() -> None:
    which = in_turn(np.random.default_rng(0))
    seconds = 0.01 * (1 + which)
    found = steady(which, seconds)
    np.testing.assert_allclose(found.seconds, seconds, rtol=1e-12)
    assert found.swing == pytest.approx(1.0)


def test_the_usual_speed_stays_the_unit() -> None:
    which = in_turn(np.random.default_rng(0))
    found = steady(which, np.where(np.arange(len(which)) < 2 * PROGRAMS, 2.0, 1.0))
    assert np.median(found.seconds) == pytest.approx(1.0)


@pytest.mark.parametrize("count", range(1, 2 * REACH + 2))
def test_a_few_measurements_stay_what_they_are(count: int) -> None:
    seconds = np.linspace(1.0, 2.0, count)
    np.testing.assert_allclose(steady(range(count), seconds).seconds, seconds)


def test_programs_are_timed_each_round_in_another_order_and_by_the_repetitions_inside_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, order = 0.0, []

    def program(name: str, takes: float) -> Callable[[], None]:
        def run() -> None:
            nonlocal now
            now += takes
            order.append(name)

        return run

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    takes = {name: 0.1 * (1 + index) for index, name in enumerate("abcdef")}
    done: list[int] = []
    found = timed({name: program(name, one) for name, one in takes.items()}, {"b": 10}, 6, done.append)
    assert found.milliseconds == pytest.approx(
        {name: 1e3 * one / (10 if name == "b" else 1) for name, one in takes.items()}
    )
    assert found.halves[0] == pytest.approx(found.halves[1])
    assert (found.outliers, found.measurements, found.swing) == (0, 36, pytest.approx(1.0))
    assert done == [1, 2, 3, 4, 5, 6]
    rounds = ["".join(order[6 + 6 * index : 12 + 6 * index]) for index in range(6)]
    assert all(sorted(one) == list("abcdef") for one in rounds)
    assert len(set(rounds)) > 3
