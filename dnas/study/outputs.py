"""A study as a CSV of its runs, as JSON, and as a table and a sentence for the terminal."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from dnas.genotype import Genotype
from dnas.run.console import duration
from dnas.run.directory import RunDirectory
from dnas.study.record import Outcome, Study, Truth
from dnas.study.statistics import Summary, average, collapsed, compare, finished, summarise
from dnas.study.verdict import judge, shown

SCHEMA = "dnas.study/1"
DASH = "\u2013"
QUANTILES = (0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


def verdict(study: Study) -> str:
    """Return one plain sentence on what the study found."""
    told = judge(study)
    return "; ".join((told.headline, *told.notes)) + "."


def write_csv(study: Study, path: Path) -> Path:
    """Write `csv_text` to `path` and return it; the file appears whole or not at all.

    Raises:
        UserError: if it cannot be written.
    """
    RunDirectory(path.parent).write_text(path.name, csv_text(study))
    return path


def csv_text(study: Study) -> str:
    """Return one line a run under a header.

    Accuracies are shares with all their digits, times are seconds, and what is not known is empty. The lines of an
    architecture with several cells are joined by ` / `, so that a run stays on one line.
    """
    others = sorted({name for one in study.outcomes for name in one.others or {}})
    rows = [_row(study, one, others) for one in study.outcomes]
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(others), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_json(study: Study) -> dict[str, Any]:
    """Return everything about a study as plain JSON values, schema `dnas.study/1`.

    Of the space's accuracies it holds number, mean and quantiles only: the table itself has the others. Numbers that
    are not finite become null.
    """
    return {
        "schema": SCHEMA,
        **_plain({name: getattr(study, name) for name in ("name", "space", "data", "measure", "arms", "seeds")}),
        "verdict": verdict(study),
        "summaries": _plain([asdict(one) for one in summarise(study)]),
        "comparisons": _plain([asdict(one) for one in compare(study)]),
        "outcomes": [_outcome(study, one) for one in study.outcomes],
        "truth": _truth(study.truth) if study.truth else None,
        **_plain({name: getattr(study, name) for name in ("settings", "command", "environment")}),
    }


def json_text(study: Study) -> str:
    """Return `to_json` as text."""
    return json.dumps(to_json(study), indent=2, allow_nan=False) + "\n"


def tables(study: Study) -> Group:
    """Return the arms, and below them what to hold them against, for the terminal."""
    result = Table(title=Text(f"{study.name}: {study.measure}"))
    for index, name in enumerate(_HEADS):
        result.add_column(name, justify="right" if index else "left")
    for one in summarise(study):
        result.add_row(*map(Text, _cells(one)))
    marks = Table("to hold them against", Column("score", justify="right"))
    for name, score in _landmarks(study):
        marks.add_row(Text(name), shown(score))
    return Group(result, marks) if marks.row_count else Group(result)


def place(rank: float | None) -> str:
    """Return a rank, or the median of ranks, with its thousands apart; a dash for `None`."""
    return DASH if rank is None else f"{rank:,.1f}".removesuffix(".0")


def regret(study: Study, outcome: Outcome) -> float | None:
    """Return how far a run's score is below the best of the space; `None` without a table or a score."""
    if study.truth is None or outcome.score is None:
        return None
    return float(study.truth.scores.max()) - outcome.score


_HEADS = ("method", "seeds", "mean \u00b1 std", "best", "worst", "median rank", "Kendall tau (all / top)", "wall time")


def _cells(one: Summary) -> list[str]:
    spread = f" \u00b1 {100 * one.std:.2f}" if one.std is not None else ""
    tau = (one.kendall, one.top_kendall)
    return [
        one.arm,
        f"{one.n}" + (f" ({one.failed} failed)" if one.failed else ""),
        shown(one.mean) + spread,
        shown(one.best),
        shown(one.worst),
        place(one.median_rank),
        DASH if tau == (None, None) else " / ".join(DASH if value is None else f"{value:.2f}" for value in tau),
        DASH if one.wall_seconds is None else duration(one.wall_seconds),
    ]


def _landmarks(study: Study) -> Iterator[tuple[str, float]]:
    if study.truth is None:
        for arm in study.arms:
            chance = average(score for one in finished(study, arm) for score in one.random_scores)
            if chance is not None:
                yield f"random, same runs as {arm}", chance
        return
    for mark in sorted(study.truth.landmarks, key=lambda mark: -mark.score):
        yield mark.name, mark.score
    same_cost = study.truth.same_cost
    for name in dict.fromkeys(name for rivals in same_cost.values() for name in rivals):
        scores = {arm: rivals[name] for arm, rivals in same_cost.items() if name in rivals}
        if len(scores) > 1 and len({shown(score) for score in scores.values()}) == 1:
            yield f"{name} at the cost of each", next(iter(scores.values()))
        else:
            for arm, score in scores.items():
                yield f"{name} at the cost of {arm}", score


def _columns(others: list[str]) -> list[str]:
    head = ["arm", "seed", "status", "architecture", "score", "rank", "percentile", "regret"]
    tail = ["wall_seconds", "compile_seconds", "together", "simulated_seconds"]
    tail += ["kendall", "spearman", "top_kendall", "top_spearman", "skips", "path", "note"]
    return [*head, *(f"score_{name}" for name in others), *tail]


def _row(study: Study, one: Outcome, others: list[str]) -> dict[str, Any]:
    ranking = one.ranking
    return {
        "arm": one.arm,
        "seed": one.seed,
        "status": one.status,
        "architecture": _line(one.genotype),
        "score": one.score,
        "rank": one.rank,
        "percentile": one.percentile,
        "regret": regret(study, one),
        **{f"score_{name}": (one.others or {}).get(name) for name in others},
        "wall_seconds": one.wall_seconds,
        "compile_seconds": one.compile_seconds,
        "together": "true" if one.together else "false",
        "simulated_seconds": one.simulated_seconds,
        "kendall": ranking and ranking.kendall,
        "spearman": ranking and ranking.spearman,
        "top_kendall": ranking and ranking.top_kendall,
        "top_spearman": ranking and ranking.top_spearman,
        "skips": one.epochs[-1].skips if one.epochs else None,
        "path": one.path,
        "note": " ".join(one.note.split()),
    }


def _line(genotype: Genotype | None) -> str:
    return " / ".join(str(genotype).splitlines()) if genotype else ""


def _outcome(study: Study, one: Outcome) -> dict[str, Any]:
    plain = {name: value for name, value in vars(one).items() if name not in ("genotype", "epochs", "ranking")}
    return {
        **_plain(plain),
        "genotype": one.genotype.to_json() if one.genotype else None,
        "regret": regret(study, one),
        "collapsed": collapsed(one),
        "ranking": _plain(asdict(one.ranking)) if one.ranking else None,
        "epochs": [_plain(asdict(epoch)) for epoch in one.epochs],
    }


def _truth(truth: Truth) -> dict[str, Any]:
    quantiles = np.quantile(truth.scores, QUANTILES)
    return {
        "dataset": truth.dataset,
        "count": int(truth.scores.size),
        "mean": float(truth.scores.mean(dtype=float)),
        "quantiles": {f"{level:g}": float(value) for level, value in zip(QUANTILES, quantiles, strict=True)},
        "landmarks": _plain([asdict(mark) for mark in truth.landmarks]),
        "bands": _plain([vars(band) for band in truth.bands]),
        "same_cost": _plain(truth.same_cost),
    }


def _plain(value: Any) -> Any:
    """Return `value` as JSON has it; what JSON has no word for becomes its text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
