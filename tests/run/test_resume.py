"""An interrupted run ends in the same bits as an unbroken one, in search and in retraining."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from dnas.errors import UserError
from dnas.run import pipeline, planning
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.interrupt import Interrupted, Stop
from dnas.run.loop import run_phase
from dnas.run.phase import Diverged, Finished, Phase

SEARCH_STEPS, RETRAIN_STEPS = 9, 15
PlanOf = Callable[..., planning.Plan]
StopAfter = Callable[[int], Stop]


@pytest.fixture(scope="module")
def planned(plan_of: PlanOf, tiny: tuple[str, ...]) -> planning.Plan:
    return plan_of("darts", 3, tiny, baseline=1)


@pytest.fixture(scope="module")
def unbroken(planned: planning.Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = pipeline.start(planned, tmp_path_factory.mktemp("unbroken") / "run", False, "dnas search")
    pipeline.execute(run, planned, Screen(), Stop())
    return run.path


def bits(tree: Any) -> list[bytes]:
    def raw(leaf: jax.Array) -> bytes:
        plain = jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        return np.asarray(plain).tobytes()

    return [raw(leaf) for leaf in jax.tree.leaves(tree)]


def lasting(path: Path, name: str) -> Any:
    """A file's content without times, which no two runs share."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: clean(item) for key, item in value.items() if "second" not in key and key not in ("environment",)
            }
        return [clean(item) for item in value] if isinstance(value, list) else value

    text = (path / name).read_text()
    return clean([json.loads(line) for line in text.splitlines()] if name.endswith("l") else json.loads(text))


def finish(planned: planning.Plan, path: Path, stop_after: StopAfter, chunks: int) -> list[int]:
    """Run in pieces of `chunks` chunks until the run is complete; return how many phases were done at each stop."""
    run = pipeline.start(planned, path, False, "dnas search")
    stops = []
    for _ in range(100):
        try:
            pipeline.execute(run, planned, Screen(), stop_after(chunks))
        except Interrupted as stop:
            assert stop.code == 143
            progress = run.path / "progress.json"
            done = json.loads(progress.read_text()) if progress.exists() else {}
            stops.append(len(done.keys() & {"search", "retrain"}))
            continue
        return stops
    raise AssertionError("never finished")


def test_a_run_stopped_again_and_again_ends_in_the_same_bits(
    planned: planning.Plan, unbroken: Path, stop_after: StopAfter, tmp_path: Path
) -> None:
    stops = finish(planned, tmp_path / "run", stop_after, 4)
    assert {0, 1} <= set(stops), "stopped in search and in retraining"
    for name in ("genotype.json", "metrics.jsonl", "result.json"):
        assert lasting(tmp_path / "run", name) == lasting(unbroken, name)
    for phase in ("search", "retrain", "baseline-0"):
        assert states(tmp_path / "run", phase) == states(unbroken, phase)


def states(path: Path, phase: str) -> list[bytes]:
    """The bits of a phase's last checkpoint, times left out."""
    from orbax.checkpoint import v1 as ocp

    newest = max((path / "checkpoints" / phase).glob("step-*"), key=lambda one: int(one.name.partition("-")[2]))
    state, _progress = ocp.load(newest)
    return bits(state)


def test_minibatches_cover_every_step_once(unbroken: Path) -> None:
    lines = lasting(unbroken, "metrics.jsonl")
    assert [(line["phase"], line["epoch"], line["step"]) for line in lines] == [
        (phase, epoch, epoch * steps // 3)
        for phase, steps in (("search", SEARCH_STEPS), ("retrain", RETRAIN_STEPS), ("baseline-0", RETRAIN_STEPS))
        for epoch in (1, 2, 3)
    ]


def run_search(planned: planning.Plan, path: Path, change: Callable[[Phase], Phase] = lambda phase: phase) -> Finished:
    assert planned.search is not None
    return run_phase(change(planned.search[1]), RunDirectory.create(path, False), Screen(), Stop())


def test_whole_epochs_and_small_chunks_take_the_same_steps(
    planned: planning.Plan, plan_of: PlanOf, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    whole = plan_of("darts", 3, (*tiny, "search.chunk_steps=0"), baseline=1)
    epochs = run_search(whole, tmp_path / "epochs").state
    chunks = run_search(planned, tmp_path / "chunks").state
    for one, other in zip(jax.tree.leaves(epochs.params), jax.tree.leaves(chunks.params), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_nan_loss_stops_the_run_and_keeps_the_last_good_checkpoint(planned: planning.Plan, tmp_path: Path) -> None:
    def poison(phase: Phase) -> Phase:
        clean = phase.chunk.run

        def run(state: Any, *arguments: Any) -> Any:
            late = state.step >= 6
            state, infos, finite = clean(state, *arguments)
            loss = infos["train_loss"]
            return state, {**infos, "train_loss": jax.numpy.where(late, jax.numpy.nan, loss)}, finite

        return phase._replace(chunk=phase.chunk._replace(run=run))

    with pytest.raises(Diverged, match="at step 7"):
        run_search(planned, tmp_path / "run", poison)
    assert sorted(one.name for one in (tmp_path / "run" / "checkpoints" / "search").iterdir()) == ["step-3", "step-6"]


def test_changed_data_are_noticed(planned: planning.Plan, tmp_path: Path) -> None:
    run = pipeline.start(planned, tmp_path / "run", False, "dnas search")
    stored = run.read("config.json")
    stored["data"]["fingerprint"] = "0" * 64
    run.write("config.json", stored)
    with pytest.raises(UserError, match="differs from the one"):
        pipeline.reopen(run.path, None, Screen())
