"""Doing what was asked of `dnas.find`: check, search, choose, train, compare."""

from itertools import chain
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console

from dnas.arguments import at_least_one
from dnas.data.arrays import Arrays, arrays
from dnas.data.reader import Streams
from dnas.data.whole import Whole
from dnas.errors import UserError
from dnas.finalists import MOST, finalists
from dnas.finding import device, host
from dnas.finding.found import Asked, Data, Found, Trained
from dnas.finding.request import check_settings, opened, request
from dnas.finding.supplies import Feeding, Supplies
from dnas.finding.training import Lessons, adam, history, trained
from dnas.genotype import Genotype
from dnas.hardware.live import connected
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.interrupt import Stop
from dnas.run.loop import run_phase
from dnas.run.phase import Finished
from dnas.run.searching import Searching, staged, to_the_end
from dnas.run.unkept import Unkept
from dnas.selection import random_genotype, rivals
from dnas.tasks import metric_names, task_of
from dnas.types import Batch, PRNGKey, Search, SearchSpace, SearchState, Variables

DRAWS = 100
"""Attempts at a random network whose output depends on its input."""


class Prepared(NamedTuple):
    """What was asked, checked: everything that can be refused has been.

    Attributes:
        asked: the arguments.
        data: the data.
        supplies: the data in the form of each of their uses.
        search: the search, or the first of its stages.
        metric: the task's first metric.
    """

    asked: Asked
    data: Data
    supplies: Supplies
    search: Search
    metric: str


def process(asked: Asked) -> Found:
    """Do what was asked, or what is left of it in its directory; see `dnas.find`."""
    prepared = _prepared(asked)
    screen, stop = Screen() if asked.progress else Screen(Console(quiet=True)), asked.stop or Stop()
    run = Unkept() if asked.directory is None else opened(asked.directory, request(asked, prepared.data))
    key = jax.random.key(asked.seed)
    with run.lock():
        last, finished = _searched(prepared, jax.random.fold_in(key, 0), run, screen, stop)
        ended = _finalists(prepared, last.search, finished.state, key, run, screen, stop)
        genotype = ended[0].genotype if ended else last.search.select(finished.state)
        screen.say(f"found architecture\n{genotype}")
        networks = _trained(prepared, genotype, jax.random.fold_in(key, 1), run, screen, stop)
        past = history(run, "search", prepared.metric)
    own, costs = networks[0] if networks else None, asked.costs
    return Found(
        genotype=genotype,
        network=own.network if own else asked.space.build(genotype),
        variables=own.variables if own else None,
        scores=own.scores if own else {},
        baseline=tuple(networks[1:]),
        history=past,
        training=own.history if own else (),
        costs=own.costs if own else dict(costs(genotype)) if costs else {},
        seconds=finished.seconds,
        metric=prepared.metric,
        larger_is_better=task_of(asked.space).larger_is_better,
        search=last.search,
        state=finished.state,
        finalists=ended,
    )


def _prepared(asked: Asked) -> Prepared:
    at_least_one(epochs=asked.epochs, checkpoint_epochs=asked.checkpoint_epochs)
    if asked.chunk_steps is not None:
        at_least_one(chunk_steps=asked.chunk_steps)
    for name, value in (("train_epochs", asked.train_epochs), ("baseline", asked.baseline)):
        if value < 0:
            raise UserError(f"{name}: expected 0 or more, got {value}")
    if not 0 <= asked.finalists <= MOST:
        raise UserError(f"finalists: expected 0 to {MOST}, got {asked.finalists}")
    at_least_one(finalist_epochs=asked.finalist_epochs)
    check_settings(asked.method, asked.settings)
    data = _data(asked.data)
    supplies = _supplies(data, Feeding(asked.batch_size, asked.chunk_steps, asked.checkpoint_epochs, asked.with_valid))
    steps = supplies.search.per_epoch
    search = asked.method(asked.space, epochs=asked.epochs, steps_per_epoch=steps, **asked.settings)
    metric = _checked(search, data, supplies, bool(asked.train_epochs))
    supplies = supplies._replace(search=supplies.search._replace(metric=metric))
    return Prepared(asked, data, supplies, search, metric)


def _searched(
    prepared: Prepared, key: PRNGKey, run: RunDirectory, screen: Screen, stop: Stop
) -> tuple[Searching, Finished]:
    # Divided in three as the command line does, which needs one key more, for the division of the data.
    _, key_init, key_run = jax.random.split(key, 3)
    first = staged(prepared.search, prepared.asked.epochs, prepared.supplies.search, (key_init, key_run))
    return to_the_end(run, first, run_phase(first.phase, run, screen, stop), screen, stop)


def _finalists(
    prepared: Prepared,
    search: Search,
    state: SearchState,
    key: PRNGKey,
    run: RunDirectory,
    screen: Screen,
    stop: Stop,
) -> tuple[Trained, ...]:
    """Train what the search thinks most of, without validation examples, by which the best of them comes first."""
    asked, task = prepared.asked, task_of(prepared.asked.space)
    if asked.finalists < 2:
        return ()
    how = Feeding(asked.batch_size, asked.chunk_steps, asked.checkpoint_epochs, with_valid=False)
    supplies = _supplies(prepared.data, how)
    lessons = _lessons(prepared, jax.random.fold_in(key, 1))._replace(
        supplies=supplies._replace(parts={"valid": supplies.parts["valid"]}), epochs=asked.finalist_epochs
    )
    done = []
    for index, genotype in enumerate(finalists(search, state, asked.finalists, jax.random.fold_in(key, 2))):
        network, title = asked.space.build(genotype), f"finalist {index + 1}"
        one = trained(f"finalist-{index}", genotype, network, lessons, title, asked.costs, run, screen, stop)
        screen.say(f"{title}: {_told(one)}")
        done.append(one)
    sign = -1 if task.larger_is_better else 1
    return tuple(sorted(done, key=lambda one: sign * one.scores["valid"][prepared.metric]))


def _lessons(prepared: Prepared, key: PRNGKey) -> Lessons:
    asked = prepared.asked
    return Lessons(
        prepared.supplies,
        task_of(asked.space),
        prepared.metric,
        asked.train_epochs,
        asked.optimizer or adam(asked.train_lr),
        asked.checkpoint_epochs,
        key,
    )


def _trained(
    prepared: Prepared, found: Genotype, key: PRNGKey, run: RunDirectory, screen: Screen, stop: Stop
) -> list[Trained]:
    """Train the network that was found and the random ones, all with the same key."""
    asked, space = prepared.asked, prepared.asked.space
    if not asked.train_epochs:
        return []
    lessons = _lessons(prepared, key)
    networks = {"retrain": found} | _rivals(space, found, asked.baseline, asked.seed)
    done = []
    for name, genotype in networks.items():
        title = name if name == "retrain" else f"random {name}"
        one = trained(name, genotype, space.build(genotype), lessons, title, asked.costs, run, screen, stop)
        screen.say(f"{name}: {_told(one)}")
        done.append(one)
    return done


def _data(data: Any) -> Data:
    if isinstance(data, Arrays | Whole | Streams):
        return data
    if isinstance(data, tuple) and len(data) == 2:
        return arrays(*data)
    raise UserError(
        f"data is a {type(data).__name__}, expected what dnas.data.arrays, whole, iterators or grain return, or a pair "
        f"(x, y) of arrays: give one of these"
    )


def _supplies(data: Data, how: Feeding) -> Supplies:
    if isinstance(data, Arrays):
        return device.of_arrays(data, how)
    return device.of_whole(data, how) if isinstance(data, Whole) else host.of_streams(data, how)


def _checked(search: Search, data: Data, supplies: Supplies, training: bool) -> str:
    """Refuse what would fail later, without computing anything, and return the name of the task's first metric."""
    space, example, key = search.space, supplies.search.example, jax.random.key(0)
    task = task_of(space)
    if not isinstance(data, Whole) and isinstance(example, jax.Array):
        space.check(example.shape[1:])
    batch: Batch = next(iter(next(iter(supplies.parts.values()))()))
    state = jax.eval_shape(search.init, key, example)
    names = metric_names(task, jax.eval_shape(search.predict, state, batch.x), batch)
    if training:
        network = space.build(random_genotype(space, np.random.default_rng(0)))

        def predict(variables: Variables, x: Any) -> Any:
            return network.apply(variables, x, train=False)[0].logits

        variables = jax.eval_shape(network.init, key, example)
        metric_names(task, jax.eval_shape(predict, variables, batch.x), batch)
    return names[0]


def _rivals(space: SearchSpace, found: Genotype, count: int, seed: int) -> dict[str, Genotype]:
    """Draw random architectures within the space's limits."""
    rng = np.random.default_rng([seed, 1])

    def draw() -> Genotype:
        genotype = random_genotype(space, rng)
        if space.charge is None:
            # A network whose output does not depend on its input is no rival.
            again = (random_genotype(space, rng) for _ in range(DRAWS))
            return next((one for one in chain([genotype], again) if connected(space.spec, one)), genotype)
        weights = {name: rng.random((group.edges, len(group.ops))) for name, group in space.spec.items()}
        return space.charge.keep(space, weights, genotype)  # type: ignore[arg-type]

    drawn = rivals(space, found, count, draw)
    if len(drawn) < count:
        raise UserError(
            f"baseline is {count}, but the space has too few architectures for so many random ones: choose less"
        )
    return {f"baseline-{index}": rival for index, rival in enumerate(drawn)}


def _told(one: Trained) -> str:
    parts = (
        f"{part} {', '.join(f'{name} {value:.4g}' for name, value in scores.items())}"
        for part, scores in one.scores.items()
    )
    return "; ".join(parts)
