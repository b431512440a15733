"""`--hardware` and `--limit`: bad words, and a whole run that keeps its limits and says what it costs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dnas.cli import main
from dnas.costs import CostTable
from dnas.genotype import Genotype
from dnas.hardware.model import FITTED, CostModel, Profile
from dnas.hardware.profile_file import read_profile, write_profile
from dnas.run.budget import Budget

SEARCH = ["search", "--space", "nasbench201"]
OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--limit", "latency=12ms"], "depends on the device; name one with --hardware: "),
        (["--hardware", "raspi9", "--limit", "latency=12ms"], "unknown hardware 'raspi9': did you mean 'raspi"),
        (["--hardware", "absent.json"], "absent.json"),
        (["--hardware", "raspi4", "--limit", "latency"], "expected a cost, '=' and a value"),
        (["--hardware", "raspi4", "--limit", "latency=12"], "expected a unit of latency"),
        (["--hardware", "raspi4", "--limit", "latency=12m"], "expected a unit of latency"),
        (["--hardware", "raspi4", "--limit", "latncy=12ms"], "did you mean 'latency'"),
        (["--hardware", "raspi4", "--limit", "energy=12mJ"], "no given hardware has a known energy"),
        (["--hardware", "eyeriss", "--limit", "latency=0.1ms"], "choose a limit in this range"),
        (["--limit", "params=1"], "choose a limit in this range"),
        (["--hardware", "raspi4", "--hardware", "pixel3", "--limit", "latency=30ms"], "name one of them"),
        (["--limit", "params=1M", "--limit", "params=2M"], "limited twice"),
        (["--objective", "hinge"], "there is no --limit: give one"),
        (["--limit", "params=1M", "--objective", "hing"], "unknown objective 'hing': did you mean 'hinge'"),
        (
            ["--limit", "params=1M", "--objective", "hinge", "--set", "objective.weigth=2"],
            "did you mean 'objective.weight'",
        ),
        (["--limit", "params=1M", "--set", "hardware.confidence=1.5"], "confidence"),
    ],
)
def test_bad_words_are_one_sentence(refused: Callable[..., str], words: list[str], says: str) -> None:
    assert says in refused(*SEARCH, *words)


def test_a_profile_of_another_space_is_refused(refused: Callable[..., str]) -> None:
    said = refused("search", "--space", "darts", "--hardware", "eyeriss")
    assert "the profile is of the space nasbench201" in said
    assert "dnas profile --space darts" in said


@pytest.fixture
def own_profile(tmp_path: Path) -> Path:
    """A device on which a 3x3 convolution costs 4 ms, a 1x1 convolution 1 ms, and all else nothing beside 2 ms."""
    costs = {"nor_conv_3x3": 4.0, "nor_conv_1x1": 1.0}
    rows = np.tile([costs.get(op, 0.0) for op in OPS], (6, 1))
    model = CostModel(
        name="mine",
        metric="latency",
        kind=FITTED,
        space="nasbench201",
        ops={"cell": OPS},
        table=CostTable(2.0, {"cell": rows}),
        network={"channels": 16, "cells": 5},
        batch_size=1,
        dtype="float32",
        source="made up",
    )
    path = tmp_path / "mine.json"
    write_profile(Profile("mine", "a made-up device", (model,)), path)
    return path


def test_what_a_run_says_of_its_models_is_what_is_read_back(own_profile: Path) -> None:
    """Tuples too, which are lists there: a resumed run compares the two."""
    model = read_profile(own_profile).models[0]
    network = {**model.network, "image": (32, 32, 3), "concat": (2, 3)}
    told = Budget((model._replace(network=network),)).to_json()
    assert told == json.loads(json.dumps(told))
    assert told[0]["network"]["image"] == [32, 32, 3]


def test_a_limited_run_keeps_its_limit_and_says_so(
    own_profile: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    settings = (
        "space.channels=2",
        "space.cells=1",
        "search.epochs=2",
        "search.batch_size=8",
        "search.alpha_lr=0.1",
        "retrain.channels=2",
        "retrain.cells=1",
        "retrain.epochs=1",
        "retrain.batch_size=8",
    )
    run = tmp_path / "run"
    words = [*SEARCH, "--data", f"npz:{images}", "--baseline", "2", "--run-dir", str(run)]
    words += [word for setting in settings for word in ("--set", setting)]
    limits = ["--hardware", str(own_profile), "--limit", "mine.latency=5ms", "--limit", "params=2000"]
    with pytest.raises(SystemExit) as stop:
        main([*words, *limits])
    said = capsys.readouterr()
    assert stop.value.code == 0, said.err
    assert "mine.latency is of networks with channels=16, cells=5" in " ".join(said.out.split())
    assert "within the limit of 5 ms" in said.out

    result = json.loads((run / "result.json").read_text())
    model = read_profile(own_profile).models[0]
    latency, params = result["costs"]
    assert (latency["limit"], params["limit"]) == (5.0, 2000.0)
    for network in (result, *result["baseline"]):
        genotype = Genotype.from_json(network["genotype"])
        ops = [edge.op for node in genotype["cell"].nodes for edge in node]
        spent = 2 + 4 * ops.count("nor_conv_3x3") + ops.count("nor_conv_1x1")
        assert spent <= 5
        assert network is not result or latency["predicted"] == pytest.approx(spent)
    for network in (result["retrain"], *result["baseline"]):
        assert network["params"] <= 2000
    assert params["actual"] == params["predicted"] == result["retrain"]["params"]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(model.table.base <= line["costs"][0]["expected"] for line in lines if line["phase"] == "search")
    page = (run / "report.html").read_text()
    assert "What it costs" in page
    assert "mine.latency" in page

    # A run that nothing has changed goes on, with the same models and the same end.
    (run / "result.json").unlink()
    with pytest.raises(SystemExit) as stop:
        main(["search", "--resume", str(run)])
    assert stop.value.code == 0, capsys.readouterr().err
    again = json.loads((run / "result.json").read_text())
    assert {name: again[name] for name in ("genotype", "costs", "baseline", "retrain")} == {
        name: result[name] for name in ("genotype", "costs", "baseline", "retrain")
    }

    # A profile that has changed since is another request.
    config = json.loads((run / "config.json").read_text())
    assert config["hardware"] == [str(own_profile)]
    (run / "result.json").unlink()
    dearer = model._replace(table=CostTable(2.5, model.table.rows))
    write_profile(Profile("mine", "a made-up device", (dearer,)), own_profile)
    assert "differs from the one" in refused("search", "--resume", str(run))
