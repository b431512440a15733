"""Several seeds as one compiled program: the same numbers as apart, and everything else that holds for one run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.run import pipeline, planning
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.interrupt import Interrupted, Stop
from dnas.run.loop import align, run_phases
from dnas.run.phase import Diverged, Finished, Lane

SMALL = (
    "space.channels=2",
    "space.cells=1",
    "space.ops=none,skip_connect,nor_conv_1x1",
    "search.epochs=2",
    "search.batch_size=8",
    "search.chunk_steps=2",
    "search.alpha_lr=0.01",
    "retrain.epochs=0",
)
STEPS = 6
Make = Callable[[Sequence[int], str], list[Lane]]


@pytest.fixture(scope="module")
def plans(plan_of: Callable[..., planning.Plan]) -> list[planning.Plan]:
    first = plan_of("nasbench201", 1, SMALL)
    return [first, plan_of("nasbench201", 2, SMALL, like=first)]


@pytest.fixture(scope="module")
def make(plans: list[planning.Plan], tmp_path_factory: pytest.TempPathFactory) -> Make:
    def lanes(indices: Sequence[int], name: str) -> list[Lane]:
        folder = tmp_path_factory.mktemp(name)
        runs = [pipeline.start(plans[index], folder / str(index), False, "test") for index in indices]
        return [Lane(phase_of(plans[index]), run) for index, run in zip(indices, runs, strict=True)]

    return lanes


def phase_of(plan: planning.Plan) -> Any:
    assert plan.search is not None
    return plan.search[1]


def finished(outcomes: list[Finished | Diverged]) -> list[Finished]:
    assert all(isinstance(one, Finished) for one in outcomes)
    return outcomes  # type: ignore[return-value]


def leaves(state: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))]


@pytest.fixture(scope="module")
def both(make: Make) -> tuple[list[Lane], list[Finished]]:
    lanes = make((0, 1), "both")
    return lanes, finished(run_phases(lanes, Screen(), Stop()))


def test_together_is_apart_within_float_tolerance(both: tuple[list[Lane], list[Finished]], make: Make) -> None:
    lane, own = both[0][1], both[1][1]
    [alone_lane] = make((1,), "alone")
    [alone] = finished(run_phases([alone_lane], Screen(), Stop()))
    assert int(own.state.step) == int(alone.state.step) == STEPS
    for ours, theirs in zip(leaves(own.state), leaves(alone.state), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4)
    for name in ("train_loss", "valid_loss", "epoch", "step"):
        assert own.last[name] == pytest.approx(alone.last[name], rel=1e-4)
    assert lane.checkpoints().steps() == alone_lane.checkpoints().steps()
    assert len((lane.run.path / "metrics.jsonl").read_text().splitlines()) == 2


def test_seeds_do_not_share_what_is_random(both: tuple[list[Lane], list[Finished]]) -> None:
    first, second = (leaves(one.state) for one in both[1])
    assert sum(not np.allclose(a, b) for a, b in zip(first, second, strict=True)) > len(first) / 2


def test_stopped_together_and_continued_is_bit_for_bit_unbroken(
    both: tuple[list[Lane], list[Finished]], make: Make, stop_after: Callable[[int], Stop]
) -> None:
    lanes = make((0, 1), "stopped")
    with pytest.raises(Interrupted):
        run_phases(lanes, Screen(), stop_after(1))
    assert {tuple(lane.checkpoints().steps()) for lane in lanes} == {(2,)}
    assert align(lanes)
    for own, again in zip(both[1], finished(run_phases(lanes, Screen(), Stop())), strict=True):
        assert all(map(np.array_equal, leaves(own.state), leaves(again.state)))
        assert {k: v for k, v in own.last.items() if "second" not in k} == {
            k: v for k, v in again.last.items() if "second" not in k
        }


def test_finished_phases_come_back_one_state_each(both: tuple[list[Lane], list[Finished]]) -> None:
    for own, again in zip(both[1], finished(run_phases(both[0], Screen(), Stop())), strict=True):
        assert all(map(np.array_equal, leaves(own.state), leaves(again.state)))


def test_one_seed_that_diverges_does_not_stop_the_other(both: tuple[list[Lane], list[Finished]], make: Make) -> None:
    good, bad = make((0, 1), "diverging")
    init = bad.phase.init

    def broken() -> Any:
        state = init()
        return state._replace(params=jax.tree.map(lambda leaf: leaf * jnp.nan, state.params))

    bad = bad._replace(phase=bad.phase._replace(init=broken))
    kept, lost = run_phases([good, bad], Screen(), Stop())
    assert isinstance(lost, Diverged)
    assert "step 1" in str(lost)
    assert isinstance(kept, Finished)
    assert all(map(np.array_equal, leaves(kept.state), leaves(both[1][0].state)))
    assert bad.checkpoints().steps() == []


def test_lanes_meet_at_the_newest_step_that_all_have(plans: list[planning.Plan], tmp_path: Path) -> None:
    def lane(name: str, *steps: int) -> Lane:
        path = tmp_path / name
        for step in steps:
            (path / "checkpoints" / "search" / f"step-{step}").mkdir(parents=True)
        return Lane(phase_of(plans[0]), RunDirectory(path))

    ahead, behind = lane("ahead", 4, 6), lane("behind", 2, 4)
    assert align([ahead, behind])
    assert (ahead.checkpoints().steps(), behind.checkpoints().steps()) == ([4], [2, 4])
    assert align([lane("fresh"), lane("new")])
    assert not align([ahead, lane("none")])
    assert not align([ahead, lane("other", 3)])
