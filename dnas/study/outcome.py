"""What came of one run of a study, from the files of its directory."""

from pathlib import Path
from typing import Any

from dnas.errors import UserError
from dnas.report.fields import Fields, read_lines, read_object
from dnas.run.directory import METRICS, RESULT
from dnas.study.jobs import FAILED, JUDGED, Job
from dnas.study.judge import Judge
from dnas.study.record import FAILED as DIVERGED
from dnas.study.record import FINISHED, Epoch, Outcome, Ranking


def read_outcome(job: Job, root: Path, judge: Judge, data: str) -> Outcome:
    """Read what a run that ended has left.

    Args:
        job: the run.
        root: the study's directory.
        judge: how the study judges architectures.
        data: name of the data set that was searched on.

    Raises:
        UserError: if a file is missing or damaged; it is named.
    """
    place = job.path.relative_to(root).as_posix()
    if (job.path / FAILED).is_file():
        note = read_object(job.path / FAILED).text("note")
        return Outcome(job.arm.text, job.seed, place, DIVERGED, note=note)
    result = read_object(job.path / RESULT)
    judged = read_object(job.path / JUDGED) if (job.path / JUDGED).is_file() else None
    search = result.fields("search")
    retrain = result.fields("retrain") if "retrain" in result else None
    return Outcome(
        arm=job.arm.text,
        seed=job.seed,
        path=place,
        status=FINISHED,
        **_standing(result, judge),
        wall_seconds=search.number("seconds") + (retrain.number("train_seconds") if retrain else 0.0),
        compile_seconds=search.number("compile_seconds") + (retrain.number("compile_seconds") if retrain else 0.0),
        together=(search.maybe("together") or 1) > 1,
        simulated_seconds=_simulated(judge, data, search, judged),
        epochs=_epochs(job.path),
        ranking=_ranking(judged),
        random_scores=tuple(
            Fields(f"{result.where}: 'baseline'", one).share("test_accuracy") for one in result.items("baseline")
        ),
    )


def _standing(result: Fields, judge: Judge) -> dict[str, Any]:
    """Return what was found and how good it is, as arguments of `Outcome`."""
    genotype, table, dataset = result.genotype("genotype"), judge.table, judge.dataset
    if table is None:
        return {"genotype": genotype, "score": result.fields("retrain").share("test_accuracy")}
    try:
        return {
            "genotype": genotype,
            "score": table.accuracy(genotype, dataset),
            "rank": table.rank(genotype, dataset),
            "percentile": table.percentile(genotype, dataset),
            "others": {name: table.accuracy(genotype, name) for name in table.datasets if name != dataset},
        }
    except UserError as error:
        raise UserError(f"{result.where}: {error}") from None


def _epochs(path: Path) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(
            epoch=line.count("epoch"),
            genotype=_text(line, "genotype"),
            score=line.maybe("true_accuracy"),
            skips=line.count("skips"),
            edges=line.count("edges"),
            valid_accuracy=line.share("valid_accuracy"),
        )
        for line in read_lines(path / METRICS)
        if _text(line, "phase") == "search"
    )


def _text(line: Fields, name: str) -> str:
    """Return a string that may not be absent."""
    if name not in line:
        raise UserError(f"{line.where}: expected a string at {name!r}, got nothing; was it changed?")
    return line.text(name)


def _simulated(judge: Judge, data: str, search: Fields, judged: Fields | None) -> float | None:
    """Price the search's multiply-adds at the rate of the machine that made the table."""
    rates = (judge.table.seconds_per_mac if judge.table else None) or {}
    rate = rates.get(data, rates.get(judge.dataset))
    if rate is None or judged is None:
        return None
    return search.count("steps") * judged.count("step_macs") * rate


def _ranking(judged: Fields | None) -> Ranking | None:
    if judged is None or "ranking" not in judged:
        return None
    ranking = judged.fields("ranking")
    everywhere, top = ranking.fields("all"), ranking.fields("top")
    return Ranking(
        count=len(everywhere.items("rows")),
        kendall=everywhere.maybe("kendall"),
        spearman=everywhere.maybe("spearman"),
        top_count=len(top.items("rows")),
        top_kendall=top.maybe("kendall"),
        top_spearman=top.maybe("spearman"),
    )
