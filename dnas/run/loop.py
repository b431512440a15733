"""One phase of a run on the host's side: compile, run chunk after chunk, report, checkpoint, stop, resume."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.checkpoint import Checkpoints
from dnas.chunks import Chunk
from dnas.run.board import Board
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.interrupt import Stop


class Diverged(Exception):
    """The loss or the state became NaN or infinite; the checkpoints hold the last good state."""


class Phase(NamedTuple):
    """A stretch of training with its own state, checkpoints and lines in the metrics.

    Attributes:
        name: `search`, `retrain`, `baseline-0`, ...: names files and metrics.
        title: what the user sees.
        epochs: how many epochs.
        chunk: the program that runs.
        init: makes the initial state.
        arguments: what the program gets after the state; stays on the device.
        images_per_step: images that go through the network in one step.
        checkpoint_epochs: epochs between checkpoints.
        record: `(state, epoch) -> further entries` of the epoch's line in the metrics.
    """

    name: str
    title: str
    epochs: int
    chunk: Chunk
    init: Callable[[], Any]
    arguments: tuple[Any, ...]
    images_per_step: int
    checkpoint_epochs: int
    record: Callable[[Any, int], dict[str, Any]]


class Progress(NamedTuple):
    """What is checkpointed beside the state: sums of the present epoch's values, and times so far in seconds."""

    sums: dict[str, jax.Array]
    seconds: jax.Array
    compile_seconds: jax.Array


class Finished(NamedTuple):
    """What a phase leaves: its state, its times in seconds and the last epoch's metrics."""

    state: Any
    seconds: float
    compile_seconds: float
    last: dict[str, Any]


def run_once(function: Callable[..., Any], *arguments: Any) -> Any:
    """Compile `function` without optimising it, which takes half as long, and run it."""
    options: dict[str, str | bool] = {"xla_backend_optimization_level": "0"}
    return jax.jit(function).lower(*arguments).compile(compiler_options=options)(*arguments)


def run_phase(phase: Phase, run: RunDirectory, screen: Screen, stop: Stop) -> Finished:
    """Run `phase` to its end, continuing from its newest checkpoint if there is one.

    Raises:
        Interrupted: if the user asked to stop; a checkpoint was written.
        Diverged: if a loss or the state is not finite.
    """
    checkpoints = Checkpoints(run.path / "checkpoints" / phase.name)
    total = phase.epochs * phase.chunk.per_epoch
    with screen.working(f"{phase.title}: making the initial state"):
        state = phase.init()
    stop.check()
    state, progress = _resume(phase, checkpoints, state, run, screen)
    program, progress = _compile(phase, state, progress, screen)
    stop.check()
    last = run.last_metrics(phase.name)
    step = int(state.step)
    with (
        Board(run.path / "tb" / phase.name, first=step // phase.chunk.per_epoch + 1) as board,
        screen.bar(phase.title, phase.epochs, phase.chunk.per_epoch, step) as bar,
    ):
        while step < total:
            first, started = step, time.perf_counter()
            state, infos, finite = program(state, *phase.arguments)
            infos, finite = jax.device_get((infos, finite))
            step = int(state.step)
            elapsed = time.perf_counter() - started
            progress = _add(progress, infos, step - first, elapsed)
            _check(phase, infos, bool(finite), first, step)
            in_epoch = (step - 1) % phase.chunk.per_epoch + 1
            rate = (step - first) * phase.images_per_step / elapsed
            means = {name: float(value) / in_epoch for name, value in progress.sums.items()}
            bar.update(step, {**_short(means), "images/s": rate})
            epoch_done = in_epoch == phase.chunk.per_epoch
            if epoch_done:
                epoch = step // phase.chunk.per_epoch
                last = _line(phase, state, epoch, step, progress, means, rate)
                run.append_metrics(last)
                board.add(last)
                progress = progress._replace(sums={name: jnp.zeros(()) for name in progress.sums})
            due = epoch_done and (step // phase.chunk.per_epoch) % phase.checkpoint_epochs == 0
            if due or step == total or stop.requested:
                checkpoints.save(step, (state, progress))
            if step < total or stop.requested:
                stop.check()
    return Finished(state, float(progress.seconds), float(progress.compile_seconds), last)


def _resume(
    phase: Phase, checkpoints: Checkpoints, state: Any, run: RunDirectory, screen: Screen
) -> tuple[Any, Progress]:
    shapes = jax.eval_shape(phase.chunk.run, state, *phase.arguments)[1]
    zero = jnp.zeros(())
    fresh = Progress({name: zero for name in shapes}, zero, zero)
    restored = checkpoints.restore((state, fresh), screen.warn)
    if restored is None:
        checkpoints.forget_after(-1)
        run.trim_metrics(phase.name, -1)
        return state, fresh
    step = int(restored[0].step)
    checkpoints.forget_after(step)
    run.trim_metrics(phase.name, step)
    screen.say(f"{phase.title}: continuing after step {step}")
    return restored


def _compile(phase: Phase, state: Any, progress: Progress, screen: Screen) -> tuple[Callable[..., Any], Progress]:
    if int(state.step) >= phase.epochs * phase.chunk.per_epoch:
        return phase.chunk.run, progress
    started = time.perf_counter()
    with screen.working(f"{phase.title}: compiling"):
        program = jax.jit(phase.chunk.run, donate_argnums=0).lower(state, *phase.arguments).compile()
    spent = time.perf_counter() - started
    return program, progress._replace(compile_seconds=progress.compile_seconds + jnp.float32(spent))


def _add(progress: Progress, infos: dict[str, np.ndarray], count: int, elapsed: float) -> Progress:
    # One float32 addition a step, in order: a resumed epoch's sums then have the same bits.
    sums = {}
    for name, values in infos.items():
        total = np.float32(progress.sums[name])
        for value in values[:count]:
            total = np.float32(total + value)
        sums[name] = jnp.asarray(total)
    return progress._replace(sums=sums, seconds=progress.seconds + jnp.float32(elapsed))


def _check(phase: Phase, infos: dict[str, np.ndarray], finite: bool, first: int, step: int) -> None:
    losses = np.stack([values[: step - first] for name, values in infos.items() if name.endswith("loss")])
    bad = np.flatnonzero(~np.isfinite(losses).all(axis=0))
    if len(bad):
        raise Diverged(f"{phase.title}: the loss became NaN or infinite at step {first + int(bad[0]) + 1}")
    if not finite:
        raise Diverged(f"{phase.title}: the weights became NaN or infinite at step {step}")


def _short(means: dict[str, float]) -> dict[str, float]:
    chosen = ("train_loss", "valid_accuracy") if "valid_accuracy" in means else ("train_loss", "train_accuracy")
    return {name.replace("_", " "): means[name] for name in chosen if name in means}


def _line(
    phase: Phase, state: Any, epoch: int, step: int, progress: Progress, means: dict[str, float], rate: float
) -> dict[str, Any]:
    return {
        "phase": phase.name,
        "epoch": epoch,
        "step": step,
        "seconds": round(float(progress.seconds), 3),
        "images_per_second": round(rate, 1),
        **means,
        **phase.record(state, epoch),
    }
