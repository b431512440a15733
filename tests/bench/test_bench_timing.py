"""Medians, quartiles and ratios of made-up times, and the order in which contenders run."""

import pytest

from dnas.bench import timing
from dnas.bench.progress import Progress
from dnas.bench.timing import Effort, Spread, interleave, ratio, spread


class Clock:
    """A clock that only the contenders move."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    own = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", own.perf_counter)
    return own


def test_median_and_quartiles_interpolate() -> None:
    assert spread([4.0, 1.0, 3.0, 2.0, 5.0]) == Spread(3.0, 2.0, 4.0)
    assert spread([1.0, 2.0]) == Spread(1.5, 1.25, 1.75)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0)


def test_a_ratio_is_taken_round_by_round() -> None:
    # The machine is three times slower in the second round, for both.
    assert ratio([1.0, 3.0, 1.0], [2.0, 6.0, 2.0]) == Spread(0.5, 0.5, 0.5)
    # The median of ratios, not the ratio of medians.
    assert ratio([1.0, 4.0, 9.0], [2.0, 2.0, 3.0]).median == 2.0
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


def test_contenders_take_turns_in_both_directions(clock: Clock) -> None:
    ran: list[str] = []

    def runner(name: str, seconds: float) -> timing.Runner:
        def run() -> None:
            ran.append(name)
            clock.now += seconds

        return run

    seconds = interleave({"fast": runner("fast", 1.0), "slow": runner("slow", 3.0)}, Effort(0.0, 3))
    assert ran[2:] == ["fast", "slow", "slow", "fast", "fast", "slow"]
    assert seconds == {"fast": [1.0] * 3, "slow": [3.0] * 3}


def test_rounds_go_on_until_each_has_had_its_seconds(clock: Clock) -> None:
    def run() -> None:
        clock.now += 2.0

    assert len(interleave({"a": run, "b": run}, Effort(8.0, 1))["a"]) == 4
    assert len(interleave({"a": run, "b": run}, Effort(0.0, 6))["a"]) == 6


def test_a_short_call_is_repeated(clock: Clock) -> None:
    calls = 0

    def run() -> None:
        nonlocal calls
        calls += 1
        clock.now += timing.SHORTEST / 4

    (only,) = interleave({"only": run}, Effort(0.0, 1))["only"]
    assert only == pytest.approx(timing.SHORTEST / 4)
    assert calls == 1 + 4


def test_time_left_is_what_the_stages_so_far_took() -> None:
    clock = Clock()
    progress = Progress(None, 4, clock.perf_counter)  # type: ignore[arg-type]
    assert progress.left() == ""
    clock.now, progress.done = 30.0, 1
    assert "1 min 30 s left" in progress.left()
