"""Search, discretise, retrain, compare, report: the whole of a run, resumable at every point."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas import plugins
from dnas.checkpoint import save_tree
from dnas.chunks import DeviceData
from dnas.data import Dataset, fingerprint, load
from dnas.data.augment import check as check_augment
from dnas.devices import ONE, Devices, Wanted, choose, processes
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.own_space import made, source
from dnas.run import retrain, searching, settings
from dnas.run.budget import Budget, budget, limited, random_within, told
from dnas.run.config import SEARCH, Config, method_of
from dnas.run.console import Screen
from dnas.run.directory import CONFIG, GENOTYPE, PROGRESS, RESULT, RunDirectory
from dnas.run.environment import describe
from dnas.run.interrupt import Stop
from dnas.run.loop import align, last_state, run_phase, run_phases
from dnas.run.phase import Diverged, Finished, Lane
from dnas.run.retrain import Retraining, TrainSettings
from dnas.run.searching import Searching, SearchSettings, Watch
from dnas.selection import random_genotype, rivals
from dnas.types import Course, Network, SearchSpace, SearchState, Weights

Known = Callable[[Genotype], dict[str, Any]]
"""What is known of an architecture, by name."""
RESULT_SCHEMA = "dnas.result/1"


class Plan(NamedTuple):
    """A checked request: everything that can be refused has been, and nothing has been written.

    Attributes:
        config: the request.
        dataset: its images.
        images: the training images on the devices.
        space: the search space, for these images.
        search: the search, in its first stage; `None` where a given genotype is trained.
        key: of everything random.
        watch: says what is known of an architecture, where something is.
        devices: where it runs.
        budget: what its architectures cost, and may cost.
    """

    config: Config
    dataset: Dataset
    images: DeviceData
    space: SearchSpace
    search: Searching | None
    key: jax.Array
    watch: Known | None = None
    devices: Devices = ONE
    budget: Budget = Budget()


def plan(
    config: Config,
    data_dir: str | None,
    *,
    like: Plan | None = None,
    watch: Known | None = None,
    devices: Wanted = None,
) -> Plan:
    """Load the data and build the space, refusing what cannot work.

    Args:
        config: the request.
        data_dir: folder of downloaded data sets.
        like: another plan on the same data and devices; the data are then not loaded again.
        watch: says what is known of an architecture; goes into the metrics of each epoch and into the result.
        devices: how many devices of each process divide the minibatches: a number, `all`, or `None` for one.

    Raises:
        UserError: for data, settings or a genotype that do not fit each other.
    """
    if like is not None and like.config.data == config.data:
        dataset, images, placed = like.dataset, like.images, like.devices
    else:
        dataset, placed = load(config.data, data_dir), choose(devices)
        images = placed.everywhere(DeviceData(jnp.asarray(dataset.x_train), jnp.asarray(dataset.y_train)))
    module = plugins.find(plugins.SPACES, "space", config.space)
    space = made(
        module, classes=len(dataset.classes), shape=dataset.image_shape, **settings.group(config.values, "space")
    )
    space.check(dataset.image_shape)
    own_budget = budget(config, space, dataset.image_shape, len(dataset.classes), module.build)
    space = limited(config, space, own_budget)
    key = jax.random.key(config.seed)
    search = None
    train_settings = _train_settings(config)
    height, width, _ = dataset.image_shape
    for part in ("search", "retrain") if config.kind == SEARCH else ("retrain",):
        chosen = settings.group(config.values, part, retrain.choose)
        check_augment(retrain.choose(dataset.augment, **chosen), height, width)
    if config.kind == SEARCH:
        method = method_of(config.method)
        own = settings.group(config.values, "search", method)
        search = searching.searching(
            lambda steps: method(space, steps_per_epoch=steps, **own),
            own["epochs"],
            dataset,
            images,
            SearchSettings(**settings.group(config.values, "search", SearchSettings)),
            jax.random.fold_in(key, 0),
            _watched(space, own_budget, watch),
            placed,
        )
    if train_settings.epochs:
        placed.check("retrain.batch_size", train_settings.batch_size)
        _check_training(config, space, dataset, train_settings)
    return Plan(config, dataset, images, space, search, key, watch, placed, own_budget)


def _watched(space: SearchSpace, own: Budget, watch: Known | None) -> Watch | None:
    """Return what goes into the metrics of each epoch: what is known of an architecture, and what it costs."""
    if watch is None and not own.models:
        return None

    def told_of(genotype: Genotype, weights: Weights) -> dict[str, Any]:
        costs = {"costs": own.costs(space, genotype, weights)} if own.models else {}
        return {**(watch(genotype) if watch else {}), **costs}

    return told_of


def _check_training(config: Config, space: SearchSpace, dataset: Dataset, train_settings: TrainSettings) -> None:
    """Build a network as the run will and refuse, before anything is written, what would fail then."""
    trial = config.genotype or random_genotype(space, np.random.default_rng(0))
    network = _network(config, space, trial)
    key, x = jax.random.key(0), jax.ShapeDtypeStruct((2, *dataset.image_shape), np.float32)
    variables = jax.eval_shape(network.init, key, x)
    if train_settings.drop_path:
        # A traced rate, as in training: a space without drop path refuses it.
        jax.eval_shape(lambda v, x, rate: network.apply(v, x, train=True, key=key, drop_path=rate), variables, x, 0.5)
    if train_settings.batch_size > len(dataset.x_train):
        raise UserError(
            f"retrain.batch_size is {train_settings.batch_size}, but there are only {len(dataset.x_train)} training "
            f"images: choose a smaller batch"
        )


def start(plan: Plan, path: Path, overwrite: bool, command: str) -> RunDirectory:
    """Make the run directory and write down what the run is."""
    dataset = plan.dataset
    processes.check_same("request", plan.config.to_json())
    processes.check_same("data set", fingerprint(dataset))
    run = RunDirectory.create(path, overwrite)
    run.write(
        CONFIG,
        {
            **plan.config.to_json(),
            "name": path.name,
            "command": command,
            "data": {
                "name": dataset.name,
                "classes": list(dataset.classes),
                "train": len(dataset.y_train),
                "test": len(dataset.y_test),
                "shape": list(dataset.image_shape),
                "fingerprint": fingerprint(dataset),
            },
            "costs": plan.budget.to_json(),
            "space_source": source(plugins.find(plugins.SPACES, "space", plan.config.space)),
            "devices": {"count": plan.devices.count, "processes": jax.process_count()},
            "environment": describe(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    return run


class Misaligned(UserError):
    """Runs that were to go on as one program cannot."""


def reopen(
    path: Path,
    data_dir: str | None,
    screen: Screen,
    *,
    like: Plan | None = None,
    watch: Known | None = None,
    devices: Wanted = None,
) -> tuple[RunDirectory, Plan]:
    """Open a run to continue it; arguments as for `plan`, where `None` keeps the run's number of devices if it can.

    Raises:
        UserError: if its data set is not the one that it began with.
    """
    run = RunDirectory.open(path)
    written = run.read(CONFIG)
    try:
        data, before = written["data"], written["environment"]
        config = Config.from_json({**written, "data": data["name"]})
        expected = data["fingerprint"]
        count = written.get("devices", {"count": 1})["count"]
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{str(path / CONFIG)!r} is damaged ({type(error).__name__}: {error}): start a new run"
        ) from None
    own = min(max(1, count // jax.process_count()), jax.local_device_count()) if devices is None else devices

    def plan_again() -> Plan:
        planned = plan(config, data_dir, like=like, watch=watch, devices=own)
        if fingerprint(planned.dataset) != expected:
            raise UserError(
                f"the data set {config.data!r} differs from the one that {str(path)!r} began with: give the same "
                f"data, or start a new run"
            )
        if planned.budget.to_json() != written.get("costs", []):
            raise UserError(
                f"a profile of {', '.join(config.hardware) or 'the limits'} differs from the one that {str(path)!r} "
                f"began with: give the same file, or start a new run"
            )
        return planned

    planned = processes.all_do(plan_again)
    if planned.devices.count != count:
        screen.say(f"began on {_devices(count)}, goes on with {planned.devices.count}: the same numbers up to rounding")
    now = describe()
    changed = [name for name in ("jax", "jaxlib", "device", "cpu") if now[name] != before.get(name)]
    if changed:
        screen.warn(f"{', '.join(changed)} changed since the run began: the result may differ from an unbroken run's")
    own_source = source(plugins.find(plugins.SPACES, "space", config.space))
    if own_source != written.get("space_source"):
        screen.warn(
            f"the module of the space {config.space} changed since the run began: if its networks are others, the run "
            f"cannot go on, or its result is of both"
        )
    return run, planned


def execute(run: RunDirectory, plan: Plan, screen: Screen, stop: Stop) -> dict[str, Any]:
    """Do what is left of a run and return its result.

    Raises:
        Interrupted: if the user asked to stop.
        Diverged: if a loss became NaN or infinite.
        UserError: if files cannot be written.
    """
    for note in plan.budget.notes:
        screen.warn(note)
    progress = run.read(PROGRESS) if run.has(PROGRESS) else {}
    result: dict[str, Any] = {
        "schema": RESULT_SCHEMA,
        "space": plan.config.space,
        "method": plan.config.method if plan.search else None,
        "data": plan.config.data,
        "seed": plan.config.seed,
    }
    if plan.search:
        if "search" not in progress:
            [diverged] = search_all([(run, plan)], screen, stop)
            if diverged:
                raise diverged
            progress = run.read(PROGRESS)
        found = Genotype.from_json(progress["genotype"])
        screen.say(f"found architecture\n{found}")
    else:
        assert plan.config.genotype is not None
        found = plan.config.genotype
    run.write(GENOTYPE, found.to_json())
    result |= {"genotype": found.to_json(), "search": progress.get("search")}
    if plan.watch:
        result["known"] = plan.watch(found)
    if plan.budget.models:
        result |= {"costs": plan.budget.costs(plan.space, found), "cost_notes": list(plan.budget.notes)}
        for entry in result["costs"]:
            screen.say(told(entry))
    alone = not _train_settings(plan.config).epochs
    result["retrain"] = None if alone else _trained(run, plan, progress, "retrain", found, screen, stop)
    result["baseline"] = [
        {
            "genotype": genotype.to_json(),
            **_trained(run, plan, progress, f"baseline-{index}", genotype, screen, stop),
        }
        for index, genotype in enumerate(_rivals(plan, found))
    ]
    result["ops"] = {name: list(group.ops) for name, group in plan.space.spec.items()}
    result["environment"] = describe()
    run.write(RESULT, result)
    return result


def search_all(runs: Sequence[tuple[RunDirectory, Plan]], screen: Screen, stop: Stop) -> list[Diverged | None]:
    """Do what is left of the search phases of several runs as one compiled program, and write what they found.

    The runs must differ in their seeds only. Returns, for each, how it diverged if it did.

    Raises:
        Interrupted: if the user asked to stop.
        Misaligned: if the runs' checkpoints have no step in common, or their search works between epochs.
        UserError: if files cannot be written.
    """
    stages = [plan.search for _, plan in runs if plan.search]
    lanes = [Lane(stage.phase, run) for (run, _), stage in zip(runs, stages, strict=True)]
    if len(lanes) > 1 and stages[0].search.course != Course():
        raise Misaligned(f"{runs[0][1].config.method} works between epochs: its seeds run one after the other")
    if len(lanes) > 1 and not align(lanes):
        raise Misaligned("these runs have no checkpoint of the same step: they go on one after the other")
    failures: list[Diverged | None] = []
    for lane, stage, finished in zip(lanes, stages, run_phases(lanes, screen, stop), strict=True):
        try:
            if isinstance(finished, Diverged):
                raise finished
            _found(lane.run, *searching.to_the_end(lane.run, stage, finished, screen, stop), len(lanes))
            failures.append(None)
        except Diverged as failure:
            failures.append(failure)
    return failures


def _found(run: RunDirectory, stage: Searching, finished: Finished, together: int) -> None:
    """Write down what a search found."""
    progress = run.read(PROGRESS) if run.has(PROGRESS) else {}
    outcome = {**searching.outcome(stage.phase, finished), "together": together}
    found = stage.search.select(stage.phase.devices.here(finished.state))
    run.write(PROGRESS, {**progress, "search": outcome, "genotype": found.to_json()})


class Ended(NamedTuple):
    """A stage of a search, and the state that it ended in."""

    stage: Searching
    state: SearchState


def searched(run: RunDirectory, plan: Plan) -> list[Ended]:
    """Return the stages of a finished search.

    Raises:
        UserError: if a checkpoint is gone or damaged.
    """
    stage, ended = plan.search, []
    example = jax.ShapeDtypeStruct((2, *plan.dataset.image_shape), jnp.float32)
    while stage is not None:
        state = last_state(Lane(stage.phase, run), jax.eval_shape(stage.search.init, plan.key, example))
        ended.append(Ended(stage, state))
        stage = stage.following(Finished(state, 0.0, 0.0, {}))
    return ended


def _rivals(plan: Plan, found: Genotype) -> list[Genotype]:
    """Draw the baseline's random architectures."""
    rng, count = np.random.default_rng([plan.config.seed, 1]), plan.config.baseline
    drawn = rivals(plan.space, found, count, lambda: random_within(plan.space, rng, plan.budget))
    if len(drawn) < count:
        raise UserError(
            f"--baseline {count}: the space has too few architectures for so many random ones; ask for fewer"
        )
    return drawn


def _trained(
    run: RunDirectory,
    plan: Plan,
    progress: dict[str, Any],
    name: str,
    genotype: Genotype,
    screen: Screen,
    stop: Stop,
) -> dict[str, Any]:
    if name not in progress:
        train_settings = _train_settings(plan.config)
        # All networks of a run get the same key, so that they differ by their architecture only.
        prepared: Retraining = retrain.retraining(
            name,
            "retrain" if name == "retrain" else f"random {name}",
            _network(plan.config, plan.space, genotype),
            plan.dataset,
            plan.images,
            train_settings,
            jax.random.fold_in(plan.key, 1),
            plan.devices,
            plan.space.task,
        )
        finished = run_phase(prepared.phase, run, screen, stop)
        if name == "retrain":
            save_tree(run.path / "model", {"params": finished.state.params, "stats": finished.state.stats})
        progress[name] = retrain.outcome(prepared, finished, plan.dataset, train_settings.epochs)
        run.write(PROGRESS, progress)
    return dict(progress[name])


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count} devices"


def _train_settings(config: Config) -> TrainSettings:
    return TrainSettings(**settings.group(config.values, "retrain", TrainSettings))


def _network(config: Config, space: SearchSpace, genotype: Genotype) -> Network:
    module = plugins.find(plugins.SPACES, "space", config.space)
    return space.build(genotype, **settings.group(config.values, "retrain", module.build))
