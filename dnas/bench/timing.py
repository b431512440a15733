"""Times of several programs that are run in turn, so that what else the machine does falls on all of them alike."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Runner = Callable[[], None]
"""Makes one call and returns when it is finished, on the device too."""
SHORTEST = 0.05
"""Seconds that a measurement lasts at least: a shorter call is repeated."""
MOST_ROUNDS = 200


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of a sample, in the unit of its values."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Effort:
    """How long to measure: until each contender has had `seconds`, but at least `rounds` rounds."""

    seconds: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """Return median and quartiles (linear interpolation) of at least one value."""
    low, median, high = np.quantile(np.asarray(values, float), (0.25, 0.5, 0.75)).tolist()
    return Spread(median, low, high)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return the spread of the ratios ours / theirs, round by round: below 1 ours is faster."""
    return spread([own / other for own, other in zip(ours, theirs, strict=True)])


def seconds_of(runner: Runner, calls: int) -> float:
    """Return the seconds of one of so many calls."""
    begin = time.perf_counter()
    for _ in range(calls):
        runner()
    return (time.perf_counter() - begin) / calls


def interleave(runners: Mapping[str, Runner], effort: Effort) -> dict[str, list[float]]:
    """Run all contenders once in every round and return the seconds of a call, a number for each round.

    Each should be warm. Every second round goes in the opposite order, so that no one always runs in the caches
    that the same other one left behind.
    """
    calls = {name: _calls(runner) for name, runner in runners.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for order in _rounds(list(runners), effort):
        for name in order:
            seconds[name].append(seconds_of(runners[name], calls[name]))
    return seconds


def _rounds(names: list[str], effort: Effort) -> Iterator[list[str]]:
    begin = time.perf_counter()
    for index in range(MOST_ROUNDS):
        if index >= effort.rounds and time.perf_counter() - begin >= effort.seconds * len(names):
            return
        yield names[::-1] if index % 2 else names


def _calls(runner: Runner) -> int:
    """Return how many calls one measurement takes."""
    return max(1, int(np.ceil(SHORTEST / max(seconds_of(runner, 1), 1e-9))))
