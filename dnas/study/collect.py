"""From the run directories of a study to its record."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dnas.errors import UserError
from dnas.report.fields import Fields, read_object
from dnas.run.directory import CONFIG
from dnas.study import baselines
from dnas.study.jobs import jobs
from dnas.study.judge import Judge
from dnas.study.outcome import read_outcome
from dnas.study.record import Landmark, Outcome, Study, Truth
from dnas.study.request import Request

REPEATS = 200
"""Repetitions of each table-driven baseline."""
SPAN = 30_000.0
"""Simulated seconds that the baselines get: about 270 trainings of 12 epochs."""


def collect(request: Request, root: Path, judge: Judge, command: str) -> Study:
    """Read what the runs of a study left and put it together with what the table knows.

    Args:
        request: the study.
        root: its directory.
        judge: how its runs are judged.
        command: to run it again.

    Raises:
        UserError: if a run's files are damaged, or there is no finished run.
    """
    found = [job for job in jobs(request, root) if job.ended]
    if not found:
        raise UserError(f"{str(root)!r} holds no finished run: run the study first")
    configs = [read_object(job.path / CONFIG) for job in found]
    data = configs[0].fields("data").text("name")
    outcomes = tuple(read_outcome(job, root, judge, data) for job in found)
    return Study(
        name=root.resolve().name,
        space=request.space,
        data=data,
        measure=judge.measure,
        arms=tuple(arm.text for arm in request.arms),
        seeds=request.seeds,
        outcomes=outcomes,
        truth=_truth(judge, data, outcomes) if judge.table else None,
        settings=_shared_settings(configs),
        command=command,
        environment=configs[0].fields("environment").value,
    )


def _truth(judge: Judge, data: str, outcomes: tuple[Outcome, ...]) -> Truth:
    table = judge.table
    assert table is not None
    scores = table.scores(judge.dataset)
    own = [Landmark(name, table.accuracy(genotype, judge.dataset), plain=True) for name, genotype in judge.references]
    landmarks = (*baselines.landmarks(table, judge.dataset), *own)
    data = data if table.priced(data) else judge.dataset
    if not table.priced(data):
        return Truth(judge.dataset, scores, landmarks, (), {})
    budget = max([SPAN, *(2 * one.simulated_seconds for one in outcomes if one.simulated_seconds)])
    lowest = min([float(table.costs(data, 12).min()), *(o.simulated_seconds for o in outcomes if o.simulated_seconds)])
    grid = np.geomspace(lowest / 2, budget, 200)
    bands, traces = [], {}
    for index, (name, search) in enumerate(
        (("random search", baselines.random_search), ("regularised evolution", baselines.regularised_evolution))
    ):
        traces[name] = [search(table, data, np.random.default_rng([index, i]), budget) for i in range(REPEATS)]
        bands.append(baselines.band(name, traces[name], scores, grid))
    return Truth(judge.dataset, scores, landmarks, tuple(bands), _same_cost(outcomes, traces, scores))


def _same_cost(
    outcomes: tuple[Outcome, ...], traces: Mapping[str, Any], scores: np.ndarray
) -> dict[str, dict[str, float]]:
    costs: dict[str, list[float]] = {}
    for one in outcomes:
        if one.simulated_seconds is not None:
            costs.setdefault(one.arm, []).append(one.simulated_seconds)
    return {
        arm: {name: baselines.at_cost(own, scores, float(np.mean(spent))) for name, own in traces.items()}
        for arm, spent in costs.items()
    }


def _shared_settings(configs: Sequence[Fields]) -> dict[str, Any]:
    """Return the settings that are the same in all runs and have to do with the search."""
    every = [one.fields("settings").value for one in configs]
    trained = any(one.get("retrain.epochs") for one in every)
    return {
        name: value
        for name, value in every[0].items()
        if all(one.get(name) == value for one in every) and (trained or not name.startswith("retrain."))
    }
