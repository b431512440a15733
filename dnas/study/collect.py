"""From the run directories of a study to its record."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.run.directory import CONFIG, METRICS, RESULT, RunDirectory
from dnas.study import baselines
from dnas.study.execute import FAILED, JUDGED, Job, jobs
from dnas.study.judge import Judge
from dnas.study.record import FAILED as DIVERGED
from dnas.study.record import FINISHED, Epoch, Landmark, Outcome, Ranking, Study, Truth
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
    found = [job for job in jobs(request, root) if (job.path / RESULT).is_file() or (job.path / FAILED).is_file()]
    if not found:
        raise UserError(f"{str(root)!r} holds no finished run: run the study first")
    config = RunDirectory.open(found[0].path).read(CONFIG)
    outcomes = tuple(_outcome(job, root, judge, str(config["data"]["name"])) for job in found)
    return Study(
        name=root.resolve().name,
        space=request.space,
        data=str(config["data"]["name"]),
        measure=judge.measure,
        arms=tuple(arm.text for arm in request.arms),
        seeds=request.seeds,
        outcomes=outcomes,
        truth=_truth(judge, str(config["data"]["name"]), outcomes) if judge.table else None,
        settings=_shared_settings(found),
        command=command,
        environment=config["environment"],
    )


def _outcome(job: Job, root: Path, judge: Judge, data: str) -> Outcome:
    run = RunDirectory.open(job.path)
    place = job.path.relative_to(root).as_posix()
    if (job.path / FAILED).is_file():
        return Outcome(job.arm.text, job.seed, place, DIVERGED, note=str(run.read(FAILED).get("note")))
    result = run.read(RESULT)
    judged = run.read(JUDGED) if (job.path / JUDGED).is_file() else {}
    genotype = Genotype.from_json(result["genotype"])
    search, retrain = result["search"], result["retrain"]
    seconds = search["seconds"] + (retrain["train_seconds"] if retrain else 0.0)
    table = judge.table
    return Outcome(
        arm=job.arm.text,
        seed=job.seed,
        path=place,
        status=FINISHED,
        genotype=genotype,
        score=table.accuracy(genotype, judge.dataset) if table else retrain["test_accuracy"],
        rank=table.rank(genotype, judge.dataset) if table else None,
        percentile=table.percentile(genotype, judge.dataset) if table else None,
        others={name: table.accuracy(genotype, name) for name in table.datasets if name != judge.dataset}
        if table
        else None,
        wall_seconds=seconds,
        compile_seconds=search["compile_seconds"] + (retrain["compile_seconds"] if retrain else 0.0),
        together=search.get("together", 1) > 1,
        simulated_seconds=_simulated(judge, data, search, judged),
        epochs=_epochs(run),
        ranking=_ranking(judged.get("ranking")),
        random_scores=tuple(one["test_accuracy"] for one in result["baseline"]),
    )


def _epochs(run: RunDirectory) -> tuple[Epoch, ...]:
    lines = [json.loads(line) for line in (run.path / METRICS).read_text(encoding="utf-8").splitlines()]
    return tuple(
        Epoch(
            epoch=line["epoch"],
            genotype=line["genotype"],
            score=line.get("true_accuracy"),
            skips=line["skips"],
            edges=line["edges"],
            valid_accuracy=line["valid_accuracy"],
        )
        for line in lines
        if line["phase"] == "search"
    )


def _simulated(judge: Judge, data: str, search: Mapping[str, Any], judged: Mapping[str, Any]) -> float | None:
    """Price the search's multiply-adds at the rate of the machine that made the table."""
    rates = (judge.table.seconds_per_mac if judge.table else None) or {}
    rate = rates.get(data, rates.get(judge.dataset))
    if rate is None or "step_macs" not in judged:
        return None
    return float(search["steps"] * judged["step_macs"] * rate)


def _ranking(judged: Mapping[str, Any] | None) -> Ranking | None:
    if not judged:
        return None
    everywhere, top = judged["all"], judged["top"]
    return Ranking(
        count=len(everywhere["rows"]),
        kendall=everywhere["kendall"],
        spearman=everywhere["spearman"],
        top_count=len(top["rows"]),
        top_kendall=top["kendall"],
        top_spearman=top["spearman"],
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


def _shared_settings(found: list[Job]) -> dict[str, Any]:
    """Return the settings that are the same in all runs and have to do with the search."""
    every = [RunDirectory.open(job.path).read(CONFIG)["settings"] for job in found]
    trained = any(one.get("retrain.epochs") for one in every)
    return {
        name: value
        for name, value in every[0].items()
        if all(one.get(name) == value for one in every) and (trained or not name.startswith("retrain."))
    }
