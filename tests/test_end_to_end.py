"""The default search, as `scripts/quickstart` runs it: real images, a real result, a truthful report."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dnas.genotype import Genotype


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("default")
    # Compiled as users do: unlike most tests this one computes for longer than it compiles.
    environment = {**os.environ, "XLA_FLAGS": ""}
    done = subprocess.run(
        [sys.executable, "-c", "from dnas.cli import main; main(['search'])"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (path,) = (folder / "runs").iterdir()
    return path


def test_the_found_network_reaches_97_percent_on_digits(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    assert result["data"] == "digits"
    assert result["retrain"]["test_accuracy"] >= 0.97


def test_result_has_what_the_readme_promises(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    assert {"schema", "space", "method", "data", "seed", "genotype", "search", "retrain", "baseline"} <= set(result)
    assert {"epochs", "steps", "seconds", "compile_seconds", "images_per_second", "valid_accuracy"} <= set(
        result["search"]
    )
    assert {"params", "macs", "train_seconds", "test_accuracy"} <= set(result["retrain"])
    assert len(result["baseline"]) == 1
    assert {"genotype", "params", "test_accuracy"} <= set(result["baseline"][0])
    assert result["baseline"][0]["genotype"] != result["genotype"]
    assert Genotype.from_json(result["genotype"]) == Genotype.from_json(json.loads((run / "genotype.json").read_text()))


def test_the_run_directory_has_every_file(run: Path) -> None:
    for name in ("config.json", "metrics.jsonl", "report.html", "model", "tb", "checkpoints"):
        assert (run / name).exists()
    for name in ("cell-normal.svg", "cell-reduce.svg"):
        ElementTree.parse(run / name)
    assert len(list((run / "tb").rglob("*tfevents*"))) == 3


def test_the_search_made_up_its_mind(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    entropies = [line["entropy"]["normal"] for line in lines if line["phase"] == "search"]
    assert entropies[-1] < entropies[0]


def test_the_report_tells_who_won(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    lost = result["retrain"]["test_accuracy"] <= result["baseline"][0]["test_accuracy"]
    assert ("did not beat" in (run / "report.html").read_text()) == lost
