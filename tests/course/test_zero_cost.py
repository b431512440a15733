"""Search by proxies, driven as a run drives it."""

from typing import Any

import numpy as np
import pytest

import dnas
from dnas.errors import UserError
from dnas.proxies import jacob_cov, synflow
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.interrupt import Interrupted, Stop
from dnas.selection import one_hot, random_genotype
from dnas.selection.evolution import by_rank
from dnas.types import Genotype, Network, Search, SearchSpace, Variables, Workload


def size(genotype: Genotype, shape: tuple[int, ...]) -> Workload:
    """A size that has its own opinion of the edges."""
    assert shape == (1, 3, 1)
    [kept] = genotype["cell"].nodes[0]
    return Workload(0, 10 * kept.source + (kept.op == "noise"))


@pytest.fixture(scope="module")
def make(pixels: SearchSpace) -> Any:
    def of(steps: int, **settings: Any) -> Search:
        given = {"population": 3, "generations": 3, "parents": 2, **settings}
        sized = pixels._replace(build=lambda genotype: Network(None, None, lambda shape: size(genotype, shape)))
        return dnas.zero_cost(sized, epochs=2, steps_per_epoch=steps, **given)

    return of


def test_the_best_ranked_is_kept_nothing_is_trained_and_an_interruption_changes_no_bit(
    make: Any, begin: Any, to_the_end: Any, again_and_again: Any, lines: Any, bits: Any, tmp_path: Any
) -> None:
    run = RunDirectory.create(tmp_path / "unbroken", False)
    [stage], finished = to_the_end(begin(make), run)
    search, state = stage.search, finished.state
    asked: list[Any] = []

    def spied(state: Any, between: Any) -> Any:
        return search.course.turn(
            state, between._replace(batches=lambda index: asked.append(between.batches(index)) or asked[-1])
        )

    begin(lambda steps: search._replace(course=search.course._replace(turn=spied))).phase.turn(state)
    x, own = asked[0].valid.x, Variables(state.params, state.stats)
    rng = np.random.default_rng(0)
    every = {random_genotype(search.space, rng) for _ in range(200)}
    assert len(every) == 6, "two operations on one of three edges"
    scored = {
        one: tuple(
            float(proxy(search.space, own, one_hot(search.space.spec, one), x)) for proxy in (synflow, jacob_cov)
        )
        for one in every
    }
    ranks = by_rank(scored)
    assert ranks[search.select(state)] == pytest.approx(max(ranks.values()))
    seen = [(line["train_loss"], line["valid_accuracy"]) for line in lines(run)]
    assert len(set(seen)) == 1, "steps report the untrained supernet"
    broken, again = again_and_again(make, 1)
    assert bits(again.state) == bits(state)
    assert lines(broken) == lines(run)


def test_a_signal_stops_it_between_two_generations(
    make: Any, begin: Any, to_the_end: Any, bits: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    run, stop, heard = RunDirectory.create(tmp_path / "stopped", False), Stop(), list[int]()

    def counting(screen: Screen, title: str) -> Any:
        def told(what: str, done: int, total: int) -> None:
            heard.append(done)
            stop.signum = 2

        return told

    monkeypatch.setattr(Screen, "counting", counting)
    with pytest.raises(Interrupted):
        to_the_end(begin(make), run, stop)
    assert heard == [1]
    _, after = to_the_end(begin(make), run, Stop())
    whole = RunDirectory.create(tmp_path / "whole", False)
    _, unbroken = to_the_end(begin(make), whole, Stop())
    assert bits(after.state) == bits(unbroken.state)


def test_bad_settings(pixels: SearchSpace) -> None:
    for settings, says in (
        ({"proxies": "sinflow"}, "synflow"),
        ({"proxies": " , "}, "at least one"),
        ({"complexity": "flops"}, "params or macs"),
        ({"mutation": 2.0}, "mutation"),
    ):
        with pytest.raises(UserError, match=says):
            dnas.zero_cost(pixels, steps_per_epoch=2, **settings)  # type: ignore[arg-type]
