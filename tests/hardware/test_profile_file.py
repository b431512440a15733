"""A profile comes back as it was written; every malformed one is refused in a sentence that says where."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnas.costs import CostTable
from dnas.hardware import CostModel, Profile, Quality, read_profile, write_profile
from dnas.hardware.model import FITTED
from dnas.hardware.profile_file import LARGEST
from search_spaces import darts, nasbench201

OPS = nasbench201.OPS
SPEC = nasbench201.space(classes=10).spec


def profile(**changes: Any) -> Profile:
    costs = np.arange(30.0).reshape(6, 5) / 8
    costs[2, 4] = math.nan
    margins = {"0.5": -0.01, "0.95": 0.125}
    model = CostModel(
        name="board",
        metric="latency",
        kind=FITTED,
        space="nasbench201",
        ops={"cell": OPS},
        table=CostTable(1.5, {"cell": costs}),
        network={"channels": 16, "cells": 5, "classes": 10, "image": [32, 32, 3]},
        batch_size=4,
        dtype="bfloat16",
        source="made up",
        quality=Quality(90, 0.9, 0.75, -0.5, 0.25, margins),
        unsupported={"cell": (("none", "*", "*", "*", "nor_conv_1x1 nor_conv_3x3", "*"),)},
    )
    return Profile("board", "A board", (model._replace(**changes),))


def same(one: CostModel, other: CostModel) -> None:
    np.testing.assert_array_equal(one.table.rows["cell"], other.table.rows["cell"])
    assert one.table.base == other.table.base
    assert one._replace(table=other.table) == other


@pytest.mark.parametrize("changes", [{}, {"quality": None, "unsupported": None}, {"metric": "macs", "kind": "exact"}])
def test_round_trip(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "board.json"
    written = profile(**changes)
    write_profile(written, path)
    found = read_profile(path)
    assert found[:2] == written[:2]
    same(found.models[0], written.models[0])
    assert [file.name for file in tmp_path.iterdir()] == ["board.json"]
    again = tmp_path / "again.json"
    write_profile(found, again)
    assert again.read_bytes() == path.read_bytes()


def test_a_profile_that_cannot_be_written_leaves_nothing(tmp_path: Path, sentence: Callable[..., Any]) -> None:
    (tmp_path / "board.json").mkdir()
    with sentence("cannot write", "board.json"):
        write_profile(profile(), tmp_path / "board.json")
    assert [file.name for file in tmp_path.iterdir()] == ["board.json"]


def at(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value[key]
    return value


MODEL = ("models", 0)
CELL = (*MODEL, "groups", "cell")
QUALITY = (*MODEL, "quality")
WRONG = {
    "another schema": (("schema",), "dnas.profile/9", ["schema", "'dnas.profile/9'"]),
    "no models": (("models",), [], ["it has no models"]),
    "models of another type": (("models",), {}, ["'models'", "list"]),
    "a model of another type": ((*MODEL,), 3, ["models[0]", "object"]),
    "unknown metric": ((*MODEL, "metric"), "speed", ["models[0]", "metric", "'speed'"]),
    "wrong unit": ((*MODEL, "unit"), "mJ", ["models[0]", "latency in 'ms'", "'mJ'"]),
    "unknown kind": ((*MODEL, "kind"), "guessed", ["models[0]", "kind", "'guessed'"]),
    "negative base": ((*MODEL, "base"), -1, ["models[0]", "base", "-1"]),
    "base of another type": ((*MODEL, "base"), "1", ["models[0]", "'base'", "float"]),
    "truth for a number": ((*MODEL, "batch_size"), True, ["'batch_size'", "int"]),
    "no image at once": ((*MODEL, "batch_size"), 0, ["batch_size of 1 or more, got 0"]),
    "no groups": ((*MODEL, "groups"), {}, ["models[0]", "no groups"]),
    "duplicated operations": ((*CELL, "ops", 1), "none", ["group 'cell'", "all different"]),
    "operation without a name": ((*CELL, "ops", 1), 7, ["group 'cell'", "names of the operations"]),
    "no edges": ((*CELL, "costs"), [], ["group 'cell'", "no edges"]),
    "a short row": ((*CELL, "costs", 3), [1, 2], ["group 'cell', edge 3", "5 numbers", "[1, 2]"]),
    "a negative entry": ((*CELL, "costs", 4, 2), -0.5, ["group 'cell', edge 4", "not below 0", "-0.5"]),
    "a word as an entry": ((*CELL, "costs", 4, 2), "1", ["group 'cell', edge 4", "number", "'1'"]),
    "not a number": ((*CELL, "costs", 4, 2), math.nan, ["finite numbers, got NaN"]),
    "infinity": ((*MODEL, "base"), math.inf, ["finite numbers, got Infinity"]),
    "a share above 1": ((*QUALITY, "margins"), {"95": 0.1}, ["quality, margins", "'95'"]),
    "a share that is a word": ((*QUALITY, "margins"), {"most": 0.1}, ["quality, margins", "'most'"]),
    "a margin below -1": ((*QUALITY, "margins"), {"0.5": -2}, ["margin 0.5", "-2"]),
    "a correlation that is a word": ((*QUALITY, "spearman"), "high", ["quality", "'spearman'", "'high'"]),
    "patterns of another group": ((*MODEL, "unsupported"), {"normal": []}, ["unsupported", "'normal' is no group"]),
    "a short pattern": ((*MODEL, "unsupported"), {"cell": [["none"]]}, ["patterns of 6 words", "['none']"]),
    "patterns of another type": ((*MODEL, "unsupported"), {"cell": 1}, ["list of patterns, got 1"]),
    "a pattern of a strange operation": ((*MODEL, "unsupported"), {"cell": [["nun", *"*****"]]}, ["'nun'"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_malformed_profiles_are_refused(tmp_path: Path, sentence: Callable[..., Any], case: str) -> None:
    keys, wrong, words = WRONG[case]
    path = tmp_path / "board.json"
    write_profile(profile(), path)
    value = json.loads(path.read_text())
    at(value, *keys[:-1])[keys[-1]] = wrong
    path.write_text(json.dumps(value))
    with sentence("board.json", "is no valid profile", *words):
        read_profile(path)


@pytest.mark.parametrize(
    "keys",
    [("schema",), ("name",), ("device",), ("models",)]
    + [(*MODEL, name) for name in ("metric", "unit", "kind", "space", "groups", "base", "batch_size", "source")]
    + [(*CELL, "ops"), (*CELL, "costs"), (*QUALITY, "networks"), (*QUALITY, "kendall")],
)
def test_what_is_missing_is_named(tmp_path: Path, sentence: Callable[..., Any], keys: tuple[Any, ...]) -> None:
    path = tmp_path / "board.json"
    write_profile(profile(), path)
    value = json.loads(path.read_text())
    del at(value, *keys[:-1])[keys[-1]]
    path.write_text(json.dumps(value))
    with sentence("board.json", f"{keys[-1]!r} is missing"):
        read_profile(path)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\udcff"])
def test_what_is_not_json_is_refused(tmp_path: Path, sentence: Callable[..., Any], text: str) -> None:
    path = tmp_path / "board.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with sentence("board.json", "not JSON"):
        read_profile(path)


def test_files_that_are_missing_or_huge_are_refused(tmp_path: Path, sentence: Callable[..., Any]) -> None:
    with sentence("cannot read", "none.json"):
        read_profile(tmp_path / "none.json")
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    with sentence("huge.json", "16,777,217 bytes"):
        read_profile(path)


def test_a_model_fits_fewer_operations_in_another_order() -> None:
    model = profile().models[0]
    space = nasbench201.space(classes=10, ops=("nor_conv_3x3", "none", "nor_conv_1x1"))
    less = model.fitting("nasbench201", space.spec)
    runs = "|none~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_1x1~2|"
    cannot = "|none~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|"
    for text in (runs, cannot):
        genotype = nasbench201.from_string(text)
        np.testing.assert_equal(less.predict(space.spec, genotype), model.predict(SPEC, genotype))
    assert math.isfinite(less.predict(space.spec, nasbench201.from_string(runs)))
    assert math.isnan(less.predict(space.spec, nasbench201.from_string(cannot)))


def test_what_cannot_be_run_has_no_predicted_cost() -> None:
    model = profile().models[0]
    entry = nasbench201.from_string("|skip_connect~0|+|none~0|avg_pool_3x3~1|+|none~0|none~1|none~2|")
    pattern = nasbench201.from_string("|none~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|")
    runs = nasbench201.from_string("|none~0|+|none~0|none~1|+|none~0|avg_pool_3x3~1|none~2|")
    assert math.isnan(model.predict(SPEC, entry))
    assert math.isnan(model.predict(SPEC, pattern))
    assert model.predict(SPEC, runs) == pytest.approx(1.5 + (0 + 5 + 10 + 15 + 24 + 25) / 8)


def test_models_of_another_space_are_refused(sentence: Callable[..., Any]) -> None:
    model = profile().models[0]
    with sentence("'nasbench201'", "'darts'"):
        model.fitting("darts", darts.space(classes=10).spec)
    with sentence("the groups cell", "normal, reduce"):
        model.fitting("nasbench201", darts.space(classes=10).spec)
    narrow = model._replace(ops={"cell": OPS[:3]}, table=CostTable(0.0, {"cell": np.zeros((6, 3))}))
    with sentence("'nor_conv_3x3'"):
        narrow.fitting("nasbench201", SPEC)
    short = model._replace(table=CostTable(0.0, {"cell": np.zeros((4, 5))}))
    with sentence("4 edges", "6 edges"):
        short.fitting("nasbench201", SPEC)
