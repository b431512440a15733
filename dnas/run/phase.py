"""What a phase of a run is: its program, its state's beginning and end, and what it leaves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from dnas.checkpoint import Checkpoints
from dnas.chunks import Chunk
from dnas.devices import ONE, Devices
from dnas.run.directory import RunDirectory
from dnas.run.stream import Stream


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
        tell: `(line) -> text` that the user sees at the end of an epoch; nothing where it is empty.
        devices: where it runs; `arguments` must be there.
        turn: `(state, told) -> state` at the end of each epoch, before anything is recorded or saved; `told` as in
            `dnas.types.Between`.
        done: `(state) -> bool`, whether the phase ends at the end of this epoch, though not all are over.
        stage: counts programs that continue one another under one name; each has checkpoints of its own.
        before: what the stages before took.
        stream: minibatches from the host, which the program gets after `arguments`, a chunk's at a time; `None` where
            `arguments` hold all data.
        unit: what one goes through as many of in a step as `images_per_step` says.
        metric: what `train_accuracy` and `valid_accuracy` are, for whoever watches.
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
    tell: Callable[[dict[str, Any]], str] | None = None
    devices: Devices = ONE
    turn: Callable[..., Any] | None = None
    done: Callable[[Any], bool] | None = None
    stage: int = 1
    before: "Finished | None" = None
    stream: Stream | None = None
    unit: str = "images"
    metric: str = "accuracy"

    def over(self, state: Any) -> bool:
        """Return whether the state is one in which the phase ends."""
        step = int(state.step)
        whole = step > 0 and step % self.chunk.per_epoch == 0
        return step >= self.epochs * self.chunk.per_epoch or (whole and self.done is not None and self.done(state))


class Lane(NamedTuple):
    """A phase and the directory of the run that it belongs to."""

    phase: Phase
    run: RunDirectory

    def checkpoints(self) -> Checkpoints:
        """Return the phase's checkpoints in the run."""
        stage = f"-{self.phase.stage}" if self.phase.stage > 1 else ""
        return self.run.checkpoints(f"{self.phase.name}{stage}")


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
