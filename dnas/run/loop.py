"""One phase of a run on the host's side: compile, run chunk after chunk, report, checkpoint, stop, resume."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas.checkpoint import Checkpoints
from dnas.chunks import Chunk, together
from dnas.compiling import compiler_options
from dnas.devices import Devices, processes
from dnas.errors import UserError
from dnas.run.board import Board
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.interrupt import Stop
from dnas.run.phase import Diverged, Finished, Lane, Phase, Progress


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
    [outcome] = run_phases([Lane(phase, run)], screen, stop)
    if isinstance(outcome, Diverged):
        raise outcome
    return outcome


def run_phases(lanes: Sequence[Lane], screen: Screen, stop: Stop) -> list[Finished | Diverged]:
    """Run phases that differ in key and data rows only to their end; several of them as one compiled program.

    Each has its own run directory, from whose checkpoint it continues; all must stand at the same step, which
    `align` sees to. A phase that diverges stops alone. The time of a common program is divided evenly. Phases that
    have a `turn`, or can be `done` early, must run alone.

    Args:
        lanes: phases of one program (same shapes, same length) with their directories.
        screen: where progress is shown.
        stop: asked after each chunk.

    Raises:
        Interrupted: if the user asked to stop; checkpoints were written.
    """
    tracks = [_begin(lane, screen, stop) for lane in lanes]
    phase = lanes[0].phase
    title = phase.title if len(lanes) == 1 else f"{phase.title} ({len(lanes)} at once)"
    chunk = phase.chunk if len(lanes) == 1 else together(phase.chunk)
    state, arguments = _stacked(tracks)
    step, over = int(tracks[0].state.step), phase.over(tracks[0].state)
    drawn = _drawn(phase, step, over)
    given = (state, *arguments, *drawn)
    program = chunk.run if over else _compile(phase.devices, chunk, given, tracks, title, screen)
    stop.check()
    with ExitStack() as stack:
        boards = [_board(stack, track.run, phase.name, step // phase.chunk.per_epoch + 1) for track in tracks]
        bar = stack.enter_context(screen.bar(title, phase.epochs, phase.chunk.per_epoch, step))
        while not over:
            first, started = step, time.perf_counter()
            for track in tracks:
                track.state = None
            state, infos, finite = program(state, *arguments, *drawn)
            following = step + _steps(phase, step)
            if phase.stream is not None and following < phase.epochs * phase.chunk.per_epoch:
                # While the device works.
                phase.stream.ahead(_steps(phase, following))
            infos, finite, steps = jax.device_get((infos, finite, state.step))
            step = int(np.max(steps))
            elapsed = time.perf_counter() - started
            rate = (step - first) * phase.images_per_step * len(tracks) / elapsed
            in_epoch = (step - 1) % phase.chunk.per_epoch + 1
            epoch_done = in_epoch == phase.chunk.per_epoch
            due = epoch_done and (step // phase.chunk.per_epoch) % phase.checkpoint_epochs == 0
            save = due or stop.requested
            for index, track in enumerate(tracks):
                if track.diverged is None:
                    own = _take((infos, finite), index, len(tracks))
                    track.advance(own, first, step, elapsed / len(tracks))
                if track.diverged is None and (epoch_done or save):
                    track.state = _take(state, index, len(tracks))
                    if epoch_done:
                        track.close_epoch(step, rate / len(tracks), boards[index], screen, stop)
                        over = over or phase.over(track.state)
                    if save or over:
                        saved = (track.state, phase.devices.everywhere(track.progress))
                        track.checkpoints.save(step, (*saved, *_mark(phase)))
            if phase.turn is not None and epoch_done:
                state = tracks[0].state
            bar.update(step, {**_mean(tracks), f"{phase.unit}/s": rate})
            if all(track.diverged for track in tracks):
                break
            if not over or stop.requested:
                stop.check()
            drawn = _drawn(phase, step, over)
    return [track.outcome() for track in tracks]


def last_state(lane: Lane, like: Any) -> Any:
    """Return the state in the newest checkpoint of a phase, of the structure and shapes of `like`.

    Raises:
        UserError: if there is none, or it is damaged.
    """
    checkpoints = lane.checkpoints()
    steps = checkpoints.steps()
    if not steps:
        raise UserError(f"{str(checkpoints.path)!r} holds no checkpoint: run the search again")
    saved = (like, _progress(lane.phase), *_mark(lane.phase))
    return checkpoints.load(steps[-1], saved)[0]


def align(lanes: Sequence[Lane]) -> bool:
    """Bring lanes to the newest step of which all have a checkpoint; return whether there is such a step.

    Lanes without any checkpoint are aligned at the beginning, unless others have begun.
    """
    steps = [set(lane.checkpoints().steps()) for lane in lanes]
    if not any(steps):
        return True
    common = set.intersection(*steps)
    if not common:
        return False
    for lane in lanes:
        lane.checkpoints().forget_after(max(common))
    return True


@dataclass
class _Track:
    """One lane while it runs; `state` is held only where it is needed on its own."""

    phase: Phase
    run: RunDirectory
    checkpoints: Checkpoints
    state: Any
    progress: Progress
    last: dict[str, Any]
    means: dict[str, float] = field(default_factory=dict)
    diverged: Diverged | None = None

    def advance(self, values: Any, first: int, step: int, elapsed: float) -> None:
        infos, finite = values
        self.progress = _add(self.progress, infos, step - first, elapsed)
        in_epoch = (step - 1) % self.phase.chunk.per_epoch + 1
        self.means = {name: float(value) / in_epoch for name, value in self.progress.sums.items()}
        try:
            _check(self.phase, infos, bool(finite), first, step)
        except Diverged as error:
            self.diverged = error

    def close_epoch(self, step: int, rate: float, board: Board | None, screen: Screen, stop: Stop) -> None:
        if self.phase.turn is not None:
            started, counted = time.perf_counter(), screen.counting(self.phase.title)

            def told(what: str, done: int, total: int) -> None:
                counted(what, done, total)
                # What is half done here is done again: an epoch is saved when it is over.
                stop.check()

            self.state = self.phase.devices.everywhere(self.phase.turn(self.state, told))
            spent = jnp.float32(time.perf_counter() - started)
            self.progress = self.progress._replace(seconds=self.progress.seconds + spent)
        epoch = step // self.phase.chunk.per_epoch
        self.last = _line(self.phase, self.state, epoch, step, self.progress, self.means, rate)
        self.run.append_metrics(self.last)
        processes.first_does(lambda: board.add(self.last) if board else None)
        text = self.phase.tell(self.last) if self.phase.tell else ""
        if text:
            screen.say(text)
        self.progress = self.progress._replace(sums={name: jnp.zeros(()) for name in self.progress.sums})

    def outcome(self) -> Finished | Diverged:
        if self.diverged is not None:
            return self.diverged
        return Finished(self.state, float(self.progress.seconds), float(self.progress.compile_seconds), self.last)


def _begin(lane: Lane, screen: Screen, stop: Stop) -> _Track:
    phase, checkpoints = lane.phase, lane.checkpoints()
    with screen.working(f"{phase.title}: making the initial state"):
        state = phase.devices.everywhere(processes.same(phase.init()))
    stop.check()
    state, progress = _resume(phase, checkpoints, state, lane.run, screen)
    return _Track(phase, lane.run, checkpoints, state, progress, lane.run.last_metrics(phase.name))


def _progress(phase: Phase, seconds: float = 0.0, compile_seconds: float = 0.0) -> Progress:
    """Return the progress of a phase that has not begun, whose like a checkpoint holds."""
    return Progress(
        dict.fromkeys(sorted(phase.chunk.infos), jnp.zeros(())), jnp.float32(seconds), jnp.float32(compile_seconds)
    )


def _resume(
    phase: Phase, checkpoints: Checkpoints, state: Any, run: RunDirectory, screen: Screen
) -> tuple[Any, Progress]:
    spent = (phase.before.seconds, phase.before.compile_seconds) if phase.before else (0.0, 0.0)
    fresh = _progress(phase, *spent)
    restored = checkpoints.restore((state, phase.devices.everywhere(fresh), *_mark(phase)), screen.warn)
    if restored is None:
        checkpoints.forget_after(-1)
        run.trim_metrics(phase.name, int(state.step))
        return state, fresh
    if phase.stream is not None:
        phase.stream.seek(restored[2])
    if phase.over(restored[0]):
        # What follows in the metrics is a later stage's.
        return restored[0], phase.devices.here(restored[1])
    step = int(restored[0].step)
    checkpoints.forget_after(step)
    run.trim_metrics(phase.name, step)
    screen.say(f"{phase.title}: continuing after step {step}")
    return restored[0], phase.devices.here(restored[1])


def _board(stack: ExitStack, run: RunDirectory, name: str, first: int) -> Board | None:
    """Open a phase's event file, in process 0 only."""

    def enter() -> Board | None:
        board = run.board(name, first) if processes.first() else None
        return stack.enter_context(board) if board else None

    return processes.all_do(enter)


def _steps(phase: Phase, step: int) -> int:
    """Return how many steps the chunk that begins at `step` takes."""
    return min(phase.chunk.length, phase.chunk.per_epoch - step % phase.chunk.per_epoch)


def _drawn(phase: Phase, step: int, over: bool) -> tuple[Any, ...]:
    """Return what the host gives to the next chunk."""
    return () if phase.stream is None or over else (phase.stream.take(_steps(phase, step)),)


def _mark(phase: Phase) -> tuple[Any, ...]:
    """Return what a checkpoint holds of the host's data."""
    return () if phase.stream is None else (jax.tree.map(jnp.asarray, phase.stream.mark()),)


def _stacked(tracks: Sequence[_Track]) -> tuple[Any, tuple[Any, ...]]:
    """Return the state and the arguments of the program; images are shared, everything else is stacked."""
    if len(tracks) == 1:
        return tracks[0].state, tracks[0].phase.arguments
    key, data, *own = zip(*(track.phase.arguments for track in tracks), strict=True)
    state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(track.state for track in tracks))
    return state, (jnp.stack(key), data[0], *(jnp.stack(rows) for rows in own))


def _take(tree: Any, index: int, count: int) -> Any:
    return tree if count == 1 else jax.tree.map(lambda leaf: leaf[index], tree)


def _mean(tracks: Sequence[_Track]) -> dict[str, float]:
    lines = [_short(track.means, track.phase.metric) for track in tracks if track.diverged is None]
    return {name: sum(line[name] for line in lines) / len(lines) for name in lines[0]} if lines else {}


def _compile(
    devices: Devices,
    chunk: Chunk,
    given: tuple[Any, ...],
    tracks: Sequence[_Track],
    title: str,
    screen: Screen,
) -> Callable[..., Any]:
    started = time.perf_counter()
    with screen.working(f"{title}: compiling"):
        options = compiler_options(second_order=chunk.second_order)
        program = devices.jit(chunk.run, donate_argnums=0).lower(*given).compile(compiler_options=options)
    spent = jnp.float32((time.perf_counter() - started) / len(tracks))
    for track in tracks:
        track.progress = track.progress._replace(compile_seconds=track.progress.compile_seconds + spent)
    return program


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


def _short(means: dict[str, float], metric: str) -> dict[str, float]:
    chosen = ("train_loss", "valid_accuracy") if "valid_accuracy" in means else ("train_loss", "train_accuracy")
    shown = {name: name.replace("_accuracy", f" {metric}").replace("_", " ") for name in chosen}
    return {shown[name]: means[name] for name in chosen if name in means}


def _line(
    phase: Phase, state: Any, epoch: int, step: int, progress: Progress, means: dict[str, float], rate: float
) -> dict[str, Any]:
    return {
        "phase": phase.name,
        "epoch": epoch,
        "step": step,
        "seconds": round(float(progress.seconds), 3),
        f"{phase.unit}_per_second": round(rate, 1),
        **means,
        **phase.record(state, epoch),
    }
