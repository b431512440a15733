"""A finished run as the report needs it: read from its directory, checked and typed."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dnas.errors import UserError
from dnas.genotype import Genotype, load
from dnas.report.costs import Cost, read_costs
from dnas.report.fields import Fields, read_lines, read_object
from dnas.report.finalists import Finalist, read_finalists

SERIES = ("train_loss", "valid_loss", "train_accuracy", "valid_accuracy", "test_accuracy")


@dataclass(frozen=True)
class Scored:
    """A network that was trained alone and tested; `macs` is `None` where it was not counted."""

    name: str
    genotype: Genotype
    accuracy: float
    params: int
    macs: int | None


@dataclass(frozen=True)
class Epochs:
    """What was measured along one phase.

    Attributes:
        epoch: the epochs, ascending.
        series: for each of `SERIES`, a number for each epoch; NaN where it was not measured.
    """

    epoch: tuple[int, ...]
    series: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Decision:
    """How a group's choice between K operations came about over T epochs.

    Attributes:
        ops: names of the operations.
        weights: `(T, E, K)`, the operation weights after relaxation.
        entropy: `(T,)`, nats, mean over the edges.
    """

    ops: tuple[str, ...]
    weights: np.ndarray
    entropy: np.ndarray


@dataclass(frozen=True)
class SearchRecord:
    """What the search left; `genotypes` holds the text of the architecture selected after each epoch."""

    summary: Mapping[str, float | None]
    epochs: Epochs
    groups: Mapping[str, Decision]
    genotypes: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        name: of its directory.
        config: the whole of config.json.
        genotype: the architecture that was retrained.
        found: that architecture's network; `None` where it was not trained.
        baselines: random architectures trained with the same budget.
        images: number of test images behind each accuracy.
        training: epochs of `found`, then of each baseline that has any.
        retrain: numbers about retraining ("train_seconds", "compile_seconds", "epochs").
        search: the search; `None` where a given genotype was trained.
        known: what a table says of the architecture (`true_accuracy`, `rank`); empty without one.
        costs: what it costs on the devices that were named.
        cost_notes: how far those costs may be trusted, in sentences without a full stop.
        finalists: what was trained for a while before one architecture was kept, that one first.
    """

    name: str
    config: Mapping[str, Any]
    genotype: Genotype
    found: Scored | None
    baselines: tuple[Scored, ...]
    images: int
    training: Mapping[str, Epochs]
    retrain: Mapping[str, float | None]
    search: SearchRecord | None
    known: Mapping[str, float]
    costs: tuple[Cost, ...] = ()
    cost_notes: tuple[str, ...] = ()
    finalists: tuple[Finalist, ...] = ()


def read_run(path: Path) -> Run:
    """Read the directory of a finished run.

    Raises:
        UserError: where a file is missing, or holds something else than a run leaves; the message names it.
    """
    if not path.is_dir():
        raise UserError(f"no run directory {str(path)!r}: expected one that a finished run left, such as runs/NAME")
    config = read_object(path / "config.json").schema("dnas.config/1")
    for part in ("data", "settings", "environment"):
        config.mapping(part)
    if not (path / "genotype.json").exists() and not (path / "result.json").exists():
        raise UserError(
            f"the run {str(path)!r} is not finished: continue it with --resume {path}, and then ask for its report"
        )
    genotype = load(path / "genotype.json")
    _check_groups(genotype, path / "genotype.json")
    result = read_object(path / "result.json").schema("dnas.result/1")
    rows = read_lines(path / "metrics.jsonl")
    searched = "search" in result
    found, images, retrain = _trained("found" if searched else "trained", genotype, result)
    baselines = [Fields(f"{result.where}: 'baseline' {i}", row) for i, row in enumerate(result.items("baseline"))]
    names = ["random"] if len(baselines) == 1 else [f"random {i + 1}" for i in range(len(baselines))]
    scored = tuple(
        Scored(name, row.genotype("genotype"), *_score(row)) for name, row in zip(names, baselines, strict=True)
    )
    phases = ({found.name: "retrain"} if found else {}) | {name: f"baseline-{i}" for i, name in enumerate(names)}
    training = {name: _epochs(_phase(rows, phase)) for name, phase in phases.items()}
    return Run(
        name=path.resolve().name,
        config=config.value,
        genotype=genotype,
        found=found,
        baselines=scored,
        images=images,
        training={name: epochs for name, epochs in training.items() if epochs.epoch},
        retrain=retrain,
        search=_search(result, _phase(rows, "search")) if searched else None,
        known=_known(result),
        costs=read_costs(result, _phase(rows, "search")),
        cost_notes=tuple(str(note) for note in result.items("cost_notes")),
        finalists=read_finalists(result),
    )


def _trained(name: str, genotype: Genotype, result: Fields) -> tuple[Scored | None, int, dict[str, float | None]]:
    """Return the network that was trained after the search, its test images and the numbers of its training."""
    if "search" in result and result.value.get("retrain", "absent") is None:
        return None, 0, {}
    retrain = result.fields("retrain")
    images = retrain.count("test_images")
    if images == 0:
        raise UserError(f"{retrain.where}: expected at least one test image at 'test_images', got 0; retrain the run")
    numbers = {name: retrain.maybe(name) for name in ("train_seconds", "compile_seconds", "epochs")}
    return Scored(name, genotype, *_score(retrain)), images, numbers


def _known(result: Fields) -> dict[str, float]:
    if "known" not in result:
        return {}
    known = result.fields("known")
    values = {name: known.maybe(name) for name in ("true_accuracy", "rank")}
    return {name: value for name, value in values.items() if value is not None}


def _check_groups(genotype: Genotype, path: Path) -> None:
    if not genotype.cells:
        raise UserError(f"{str(path)!r}: expected at least one cell, got none; search or train again")
    for name, _ in genotype.cells:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise UserError(
                f"{str(path)!r}: expected names of cells made of letters, digits, '_', '.' and '-', got {name!r}; "
                f"rename the cell"
            )


def _score(row: Fields) -> tuple[float, int, int | None]:
    return row.share("test_accuracy"), row.count("params"), row.count("macs") if "macs" in row else None


def _phase(rows: Sequence[Fields], phase: str) -> list[Fields]:
    """Return the phase's lines in the order of epochs, the last where an interrupted epoch was run again."""
    by_epoch = {row.count("epoch"): row for row in rows if row.text("phase") == phase}
    return [by_epoch[epoch] for epoch in sorted(by_epoch)]


def _epochs(rows: Sequence[Fields]) -> Epochs:
    def column(name: str) -> tuple[float, ...]:
        values = [row.maybe(name) for row in rows]
        return tuple(math.nan if value is None else float(value) for value in values)

    return Epochs(tuple(row.count("epoch") for row in rows), {name: column(name) for name in SERIES})


def _search(result: Fields, rows: Sequence[Fields]) -> SearchRecord:
    search = result.fields("search")
    names = ("epochs", "steps", "seconds", "compile_seconds", "images_per_second", "valid_accuracy")
    groups = {
        name: _decision(name, _ops(result, name), rows)
        for name in result.mapping("ops")
        if rows and all(name in row.mapping("weights") for row in rows)
    }
    return SearchRecord(
        summary={name: search.maybe(name) for name in names},
        epochs=_epochs(rows),
        groups=groups,
        genotypes=tuple(row.text("genotype") for row in rows),
    )


def _ops(result: Fields, group: str) -> tuple[str, ...]:
    names = result.fields("ops").items(group)
    if not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"{result.where}: expected names of operations at 'ops' {group!r}, got {json.dumps(names)}")
    return tuple(names)


def _decision(group: str, ops: tuple[str, ...], rows: Sequence[Fields]) -> Decision:
    weights: list[np.ndarray] = []
    for row in rows:
        try:
            table = np.asarray(row.fields("weights").items(group), dtype=np.float64)
        except (TypeError, ValueError):
            table = np.empty(0)
        expected = weights[0].shape if weights else (max(len(table), 1), len(ops))
        if table.shape != expected:
            raise UserError(
                f"{row.where}: expected 'weights' of {group!r} with {expected[0]} edges and {expected[1]} operations, "
                f"got an array of shape {table.shape}; was it changed?"
            )
        weights.append(table)
    entropy = [row.fields("entropy").maybe(group) if "entropy" in row else None for row in rows]
    return Decision(ops, np.stack(weights), np.array([math.nan if e is None else e for e in entropy]))
