"""Search, discretise, retrain, compare, report: the whole of a run, resumable at every point."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas import plugins
from dnas.data import fingerprint
from dnas.devices import Wanted, processes
from dnas.errors import UserError
from dnas.finalists import finalists
from dnas.genotype import Genotype
from dnas.own_space import source
from dnas.run import searching
from dnas.run.budget import random_within, told
from dnas.run.config import Config
from dnas.run.console import Screen
from dnas.run.directory import CONFIG, GENOTYPE, PROGRESS, RESULT, RunDirectory
from dnas.run.environment import describe
from dnas.run.final_settings import final_settings
from dnas.run.finalists import compared, kept
from dnas.run.interrupt import Stop
from dnas.run.loop import align, last_state, run_phases
from dnas.run.phase import Diverged, Finished, Lane
from dnas.run.planning import Known, Plan, plan, train_settings
from dnas.run.searching import Searching
from dnas.run.trained import RETRAIN, trained
from dnas.selection import rivals
from dnas.types import Course, SearchState

RESULT_SCHEMA = "dnas.result/1"


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
        ended = [Genotype.from_json(one) for one in progress.get("finalists", ())]
        if len(ended) > 1:
            result["finalists"] = compared(run, plan, progress, ended, screen, stop)
            found = Genotype.from_json(result["finalists"][0]["genotype"])
            screen.say(kept(result["finalists"]))
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
    alone = not train_settings(plan.config).epochs
    result["retrain"] = None if alone else trained(run, plan, progress, RETRAIN, RETRAIN, found, screen, stop)
    result["baseline"] = [
        {
            "genotype": genotype.to_json(),
            **trained(run, plan, progress, f"baseline-{index}", f"random baseline-{index}", genotype, screen, stop),
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
    each = zip(lanes, runs, stages, run_phases(lanes, screen, stop), strict=True)
    for lane, (_, own), stage, finished in each:
        try:
            if isinstance(finished, Diverged):
                raise finished
            _found(lane.run, own, *searching.to_the_end(lane.run, stage, finished, screen, stop), len(lanes))
            failures.append(None)
        except Diverged as failure:
            failures.append(failure)
    return failures


def _found(run: RunDirectory, plan: Plan, stage: Searching, finished: Finished, together: int) -> None:
    """Write down what a search found, and what it thinks most of."""
    progress = run.read(PROGRESS) if run.has(PROGRESS) else {}
    outcome = {**searching.outcome(stage.phase, finished), "together": together}
    state, count = stage.phase.devices.here(finished.state), final_settings(plan.config.values).count
    found = finalists(stage.search, state, count, jax.random.fold_in(plan.key, 3)) or [stage.search.select(state)]
    written = [genotype.to_json() for genotype in found]
    run.write(PROGRESS, {**progress, "search": outcome, "genotype": written[0], "finalists": written})


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


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count} devices"
