"""Training one network from scratch on data of any form, and scoring it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import optax

from dnas.finding.found import Optimizer, Trained
from dnas.finding.supplies import Supplies
from dnas.genotype import Genotype
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.interrupt import Stop
from dnas.run.loop import run_once, run_phase
from dnas.run.phase import Phase
from dnas.scoring import scorer
from dnas.train import supervised
from dnas.types import Network, PRNGKey, Task, Variables


class Lessons(NamedTuple):
    """How networks are trained, the same for all.

    Attributes:
        supplies: the data.
        task: what outputs are for.
        metric: its first metric's name.
        epochs: of the training.
        optimizer: of the weights.
        checkpoint_epochs: epochs between checkpoints.
        key: makes the initial weights and all minibatches.
    """

    supplies: Supplies
    task: Task
    metric: str
    epochs: int
    optimizer: Optimizer
    checkpoint_epochs: int
    key: PRNGKey


def adam(learning_rate: float) -> Optimizer:
    """Return Adam (Kingma and Ba, arXiv:1412.6980) whose learning rate falls to 0 along a cosine."""
    return lambda steps: optax.adam(optax.cosine_decay_schedule(learning_rate, steps))


def trained(
    name: str,
    genotype: Genotype,
    network: Network,
    how: Lessons,
    title: str,
    costs: Callable[[Genotype], Mapping[str, float]] | None,
    run: RunDirectory,
    screen: Screen,
    stop: Stop,
) -> Trained:
    """Train a network, going on where an interrupted training stood, and score it.

    Args:
        name: of the phase: `retrain`, `baseline-0`, ...
        genotype: the architecture.
        network: what is trained.
        how: how.
        title: what it is called on the screen.
        costs: what architectures cost.
        run: where checkpoints and metrics go.
        screen: where progress is shown.
        stop: asked after each chunk of steps.
    """
    supply = how.supplies.train()
    training = supervised(network, how.optimizer(how.epochs * supply.per_epoch), task=how.task)
    key_init, key_run = jax.random.split(how.key)
    phase = Phase(
        name=name,
        title=title,
        epochs=how.epochs,
        chunk=supply.chunk(training),
        init=lambda: run_once(training.init, key_init, supply.example),
        arguments=supply.arguments(key_run),
        images_per_step=supply.batch_size,
        checkpoint_epochs=how.checkpoint_epochs,
        record=lambda state, epoch: {},
        stream=supply.stream,
        unit="examples",
        metric=how.metric,
    )
    finished = run_phase(phase, run, screen, stop)
    score = scorer(training.predict, how.task)
    return Trained(
        genotype,
        network,
        Variables(finished.state.params, finished.state.stats),
        {part: score(finished.state, batches()) for part, batches in how.supplies.parts.items()},
        history(run, name, how.metric),
        finished.seconds,
        {} if costs is None else dict(costs(genotype)),
    )


def history(run: RunDirectory, phase: str, metric: str) -> tuple[Mapping[str, Any], ...]:
    """Return an entry for each epoch of a phase, with the task's metric under its own name."""
    return tuple(
        {name.replace("_accuracy", f"_{metric}"): value for name, value in line.items() if name != "phase"}
        for line in run.metrics(phase)
    )
