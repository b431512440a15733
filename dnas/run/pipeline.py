"""Search, discretise, retrain, compare, report: the whole of a run, resumable at every point."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from dnas import plugins
from dnas.checkpoint import save_tree
from dnas.data import Dataset, fingerprint, load
from dnas.data.augment import check as check_augment
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.run import retrain, searching, settings
from dnas.run.config import SEARCH, Config, method_of
from dnas.run.console import Screen
from dnas.run.directory import CONFIG, GENOTYPE, PROGRESS, RESULT, RunDirectory
from dnas.run.environment import describe
from dnas.run.interrupt import Stop
from dnas.run.loop import Phase, run_phase
from dnas.run.retrain import Retraining, TrainSettings
from dnas.run.searching import SearchSettings
from dnas.selection import random_genotype
from dnas.types import Network, Search, SearchSpace

RESULT_SCHEMA = "dnas.result/1"


class Plan(NamedTuple):
    """A checked request: everything that can be refused has been, and nothing has been written."""

    config: Config
    dataset: Dataset
    space: SearchSpace
    search: tuple[Search, Phase] | None
    key: jax.Array


def plan(config: Config, data_dir: str | None) -> Plan:
    """Load the data and build the space, refusing what cannot work.

    Raises:
        UserError: for data, settings or a genotype that do not fit each other.
    """
    dataset = load(config.data, data_dir)
    module = plugins.find(plugins.SPACES, "space", config.space)
    space = module.space(classes=len(dataset.classes), **settings.group(config.values, "space"))
    space.check(dataset.image_shape)
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
            SearchSettings(**settings.group(config.values, "search", SearchSettings)),
            jax.random.fold_in(key, 0),
        )
    trial = config.genotype or random_genotype(space, np.random.default_rng(0))
    network = _network(config, space, trial)
    jax.eval_shape(network.init, key, jax.ShapeDtypeStruct((2, *dataset.image_shape), np.float32))
    if train_settings.batch_size > len(dataset.x_train):
        raise UserError(
            f"retrain.batch_size is {train_settings.batch_size}, but there are only {len(dataset.x_train)} training "
            f"images: choose a smaller batch"
        )
    return Plan(config, dataset, space, search, key)


def start(plan: Plan, path: Path, overwrite: bool, command: str) -> RunDirectory:
    """Make the run directory and write down what the run is."""
    run = RunDirectory.create(path, overwrite)
    dataset = plan.dataset
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
            "environment": describe(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    return run


def reopen(path: Path, data_dir: str | None, screen: Screen) -> tuple[RunDirectory, Plan]:
    """Open a run to continue it.

    Raises:
        UserError: if its data set is not the one that it began with.
    """
    run = RunDirectory.open(path)
    written = run.read(CONFIG)
    try:
        data, before = written["data"], written["environment"]
        config = Config.from_json({**written, "data": data["name"]})
        expected = data["fingerprint"]
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{str(path / CONFIG)!r} is damaged ({type(error).__name__}: {error}): start a new run"
        ) from None
    planned = plan(config, data_dir)
    if fingerprint(planned.dataset) != expected:
        raise UserError(
            f"the data set {config.data!r} differs from the one that {str(path)!r} began with: give the same data, or "
            f"start a new run"
        )
    now = describe()
    changed = [name for name in ("jax", "jaxlib", "device", "cpu") if now[name] != before.get(name)]
    if changed:
        screen.warn(f"{', '.join(changed)} changed since the run began: the result may differ from an unbroken run's")
    return run, planned


def execute(run: RunDirectory, plan: Plan, screen: Screen, stop: Stop) -> dict[str, Any]:
    """Do what is left of a run and return its result.

    Raises:
        Interrupted: if the user asked to stop.
        Diverged: if a loss became NaN or infinite.
        UserError: if files cannot be written.
    """
    progress = run.read(PROGRESS) if (run.path / PROGRESS).exists() else {}
    result: dict[str, Any] = {
        "schema": RESULT_SCHEMA,
        "space": plan.config.space,
        "method": plan.config.method if plan.search else None,
        "data": plan.config.data,
        "seed": plan.config.seed,
    }
    if plan.search:
        if "search" not in progress:
            search, phase = plan.search
            finished = run_phase(phase, run, screen, stop)
            genotype = search.select(finished.state)
            progress |= {"search": searching.outcome(phase, finished), "genotype": genotype.to_json()}
            run.write(PROGRESS, progress)
        found = Genotype.from_json(progress["genotype"])
        screen.say(f"found architecture\n{found}")
    else:
        assert plan.config.genotype is not None
        found = plan.config.genotype
    run.write(GENOTYPE, found.to_json())
    result |= {"genotype": found.to_json(), "search": progress.get("search")}
    result["retrain"] = _trained(run, plan, progress, "retrain", found, screen, stop)
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


def _rivals(plan: Plan, found: Genotype) -> list[Genotype]:
    """Draw the baseline's random architectures, each different from the found one and from each other."""
    rng = np.random.default_rng([plan.config.seed, 1])
    rivals: list[Genotype] = []
    for _ in range(1000):
        if len(rivals) == plan.config.baseline:
            return rivals
        genotype = random_genotype(plan.space, rng)
        if genotype not in (found, *rivals):
            rivals.append(genotype)
    raise UserError(
        f"--baseline {plan.config.baseline}: the space has too few architectures for so many random ones; ask for fewer"
    )


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
            train_settings,
            jax.random.fold_in(plan.key, 1),
        )
        finished = run_phase(prepared.phase, run, screen, stop)
        if name == "retrain":
            save_tree(run.path / "model", {"params": finished.state.params, "stats": finished.state.stats})
        progress[name] = retrain.outcome(prepared, finished, plan.dataset, train_settings.epochs)
        run.write(PROGRESS, progress)
    return dict(progress[name])


def _train_settings(config: Config) -> TrainSettings:
    return TrainSettings(**settings.group(config.values, "retrain", TrainSettings))


def _network(config: Config, space: SearchSpace, genotype: Genotype) -> Network:
    module = plugins.find(plugins.SPACES, "space", config.space)
    return space.build(genotype, **settings.group(config.values, "retrain", module.build))
