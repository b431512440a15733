"""scripts/fit_profile on a user's measurements and on a made-up archive; bad input is refused in one sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dnas.costs import CostTable, cost
from dnas.hardware import read_profile
from dnas.hardware.fit_command import main
from dnas.hardware.hwnasbench import DATASETS
from dnas.hardware.live import connected
from search_spaces import darts, nasbench201

ROWS = np.random.default_rng(0).uniform(0, 2, (6, 5))
TABLE = CostTable(3.0, {"cell": ROWS})
SPEC = nasbench201.space(classes=10).spec
OWN = ["--name", "board", "--space", "nasbench201", "--metric", "latency"]


def run(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def lines(count: int = 60) -> list[str]:
    """Networks with their costs by the planted table, by string and by index in turn."""
    found = ["architecture,cost"]
    for index in range(count):
        genotype = nasbench201.from_index(97 * index)
        name = nasbench201.to_string(genotype) if index % 2 else str(97 * index)
        found.append(f"{name},{cost(TABLE, SPEC, genotype)}")
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def check(*words: str | Path) -> str:
        before = sorted(folder.rglob("*"))
        assert run(*words) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("fit_profile: error: ")
        assert captured.err.count("\n") == 1
        assert sorted(folder.rglob("*")) == before
        return captured.err

    return check


def test_measurements_become_a_profile(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "times.csv").write_text("\n".join(lines()))
    words = ["times.csv", *OWN, "--unit", "s", "--batch-size", "8", "--set", "space.cells=2", "--image", "16,16,1"]
    assert run(*words, "--hold-out", "0.25", "--device", "My board") == 0
    assert "profile: board.json" in capsys.readouterr().out
    profile = read_profile(folder / "board.json")
    (model,) = profile.models
    assert (profile.name, profile.device, model.unit, model.batch_size) == ("board", "My board", "ms", 8)
    assert model.network == {"channels": 16, "cells": 2, "classes": 10, "image": [16, 16, 1]}
    assert model.quality is not None
    assert model.quality.networks == 15
    assert model.quality.r2 > 0.999
    genotype = nasbench201.from_index(12_345)
    assert model.predict(SPEC, genotype) == pytest.approx(1000 * cost(TABLE, SPEC, genotype), rel=1e-2)
    assert run(*words) == 2
    assert run(*words, "--overwrite") == 0


def test_genotype_files_of_any_space_are_read_relative_to_the_measurements(folder: Path) -> None:
    space = darts.space(classes=10, nodes=1, ops=("none", "skip_connect", "sep_conv_3x3"))
    from dnas.selection import random_genotype

    rng = np.random.default_rng(0)
    (folder / "own").mkdir()
    rows = ["extra,architecture,cost"]
    for index in range(40):
        genotype = random_genotype(space, rng)
        (folder / "own" / f"{index}.json").write_text(json.dumps(genotype.to_json()))
        rows.append(f"x,{index}.json,{1 + str(genotype).count('sep_conv')}")
    (folder / "own" / "energy.csv").write_text("\n".join(rows))
    words = ["--name", "a", "--space", "darts", "--metric", "energy", "--unit", "J", "--out", folder / "a.json"]
    changes = ["--set", "space.nodes=1", "--set", "space.ops=none,skip_connect,sep_conv_3x3"]
    assert run(folder / "own" / "energy.csv", *words, *changes) == 0
    (model,) = read_profile(folder / "a.json").models
    assert model.unit == "mJ"
    genotype = random_genotype(space, rng)
    wanted = 1000 * (1 + str(genotype).count("sep_conv"))
    assert model.predict(space.spec, genotype) == pytest.approx(wanted, rel=1e-2)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("4,nan", "line 3: expected a cost of 0 or more, got 'nan'"),
        ("4,-1", "line 3: expected a cost of 0 or more, got '-1'"),
        ("4,inf", "line 3: expected a cost of 0 or more, got 'inf'"),
        ("4,fast", "line 3: expected a cost of 0 or more, got 'fast'"),
        ("4", "line 3: expected a cost of 0 or more, got ''"),
        ("99999,1", "line 3: architecture 99999: expected an index from 0 to 15624"),
        ("|none~0|,1", "line 3: architecture '|none~0|': expected 3 nodes"),
        ("lost.json,1", "line 3: cannot read the genotype"),
    ],
)
def test_bad_lines_are_named(folder: Path, refused: Callable[..., str], line: str, says: str) -> None:
    (folder / "times.csv").write_text("\n".join([*lines()[:2], line, *lines()[2:]]))
    assert says in refused("times.csv", *OWN)


def test_bad_requests_are_refused(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "times.csv").write_text("\n".join(lines()))
    (folder / "few.csv").write_text("\n".join(lines(28)))
    (folder / "headless.csv").write_text("\n".join(lines()[1:]))
    (folder / "bytes.csv").write_bytes(b"\xff\xfe\x00" * 9)
    assert "needs either MEASUREMENTS" in refused()
    assert "cannot read the measurements 'gone.csv'" in refused("gone.csv", *OWN)
    assert "cannot read the measurements 'bytes.csv'" in refused("bytes.csv", *OWN)
    assert "no column 'architecture'" in refused("headless.csv", *OWN)
    assert "28 networks, of which 6 are held out, expected at least 2 and 25 others" in refused("few.csv", *OWN)
    assert "expected latency in us, ms, s" in refused("times.csv", *OWN, "--unit", "mJ")
    assert "unknown metric 'latenzy': did you mean 'latency'" in refused("times.csv", *OWN, "--metric", "latenzy")
    assert "unknown space" in refused("times.csv", *OWN, "--space", "nasbench")
    assert "did you mean 'space.cells'" in refused("times.csv", *OWN, "--set", "space.cell=2")
    assert "name 'my board'" in refused("times.csv", *OWN, "--name", "my board")
    assert "needs --name" in refused("times.csv")
    assert "such as 32,32,3" in refused("times.csv", *OWN, "--image", "32")
    assert "--networks does not go with MEASUREMENTS" in refused("times.csv", *OWN, "--networks", "9")
    assert "--name does not go with --hw-nas-bench" in refused("--hw-nas-bench", "times.csv", "--name", "a")
    assert "as costs of HW-NAS-Bench" in refused("--hw-nas-bench", "times.csv")
    assert "no folder 'nowhere'" in refused("--hw-nas-bench", "times.csv", "--out", "nowhere")
    np.savez("other.npz", some=np.ones(3))
    assert "has no costs of HW-NAS-Bench" in refused("--hw-nas-bench", "other.npz")
    np.savez("short.npz", cifar10__raspi4_latency=np.ones(3))
    assert "expected 15,625 costs" in refused("--hw-nas-bench", "short.npz")


def test_an_archive_becomes_a_profile_for_each_device(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    architectures = list(nasbench201.enumerate_all())
    costs = np.array([cost(TABLE, SPEC, one) for one in architectures])
    strings = [nasbench201.to_string(one) for one in architectures]
    cannot = np.array([one.startswith("|none~0|") and "avg_pool_3x3~1" in one for one in strings])
    np.savez(
        "made_up.npz",
        cifar10__fpga_latency=costs,
        cifar10__fpga_energy=2 * costs,
        imagenet16__edgetpu_latency=np.where(cannot, -1, costs),
        cifar10__fpga_arithmetic_intensity=-costs,
    )
    assert run("--hw-nas-bench", "made_up.npz", "--out", ".", "--networks", "60") == 0
    assert "fpga" in capsys.readouterr().out
    assert sorted(path.name for path in folder.glob("*.json")) == ["edgetpu.json", "fpga.json"]
    latency, energy = read_profile(folder / "fpga.json").models
    assert (latency.metric, energy.metric, energy.unit) == ("latency", "energy", "mJ")
    np.testing.assert_allclose(energy.table.rows["cell"], 2 * latency.table.rows["cell"], atol=1e-4)
    (edge,) = read_profile(folder / "edgetpu.json").models
    assert (edge.network["classes"], edge.network["image"][0]) == DATASETS["imagenet16"]
    assert edge.quality is not None
    # Errors are of networks whose output depends on their input.
    reached = np.array([connected(SPEC, one) for one in architectures])
    assert edge.quality.networks == np.count_nonzero(reached & ~cannot) - 60
    assert edge.unsupported == {
        "cell": (("none", "*", "*", "*", "avg_pool_3x3", "*"), ("none", "*", "avg_pool_3x3", "*", "*", "*"))
    }
    assert "networks" in edge.source


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "dnas fit-profile times.csv --name mylaptop" in capsys.readouterr().out
