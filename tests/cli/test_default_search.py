"""The default search, as `scripts/quickstart` runs it: real images, a real result, a truthful report."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from dnas.genotype import Genotype


def search(folder: Path) -> Path:
    """Run `dnas search` and return its run directory."""
    # Compiled as users do: unlike most tests this one computes for longer than it compiles.
    done = subprocess.run(
        [sys.executable, "-c", "from dnas.cli import main; main(['search'])"],
        cwd=folder,
        env={**os.environ, "XLA_FLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (path,) = (folder / "runs").iterdir()
    return path


def test_the_default_search(tmp_path: Path) -> None:
    """One test, since it is one run of minutes."""
    run = search(tmp_path)
    result = json.loads((run / "result.json").read_text())
    assert result["data"] == "digits"
    assert result["retrain"]["test_accuracy"] >= 0.97
    check_what_the_readme_promises(run, result)
    check_files(run)
    check_that_it_made_up_its_mind(run)
    check_the_verdict(run, result)


def check_what_the_readme_promises(run: Path, result: dict[str, Any]) -> None:
    assert {"schema", "space", "method", "data", "seed", "genotype", "search", "retrain", "baseline"} <= set(result)
    assert {"epochs", "steps", "seconds", "compile_seconds", "images_per_second", "valid_accuracy"} <= set(
        result["search"]
    )
    assert {"params", "macs", "train_seconds", "test_accuracy"} <= set(result["retrain"])
    assert len(result["baseline"]) == 1
    assert {"genotype", "params", "test_accuracy"} <= set(result["baseline"][0])
    assert result["baseline"][0]["genotype"] != result["genotype"]
    assert Genotype.from_json(result["genotype"]) == Genotype.from_json(json.loads((run / "genotype.json").read_text()))


def check_files(run: Path) -> None:
    for name in ("config.json", "metrics.jsonl", "report.html", "model", "tb", "checkpoints"):
        assert (run / name).exists()
    for name in ("cell-normal.svg", "cell-reduce.svg"):
        ElementTree.parse(run / name)
    assert len(list((run / "tb").rglob("*tfevents*"))) == 3


def check_that_it_made_up_its_mind(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    entropies = [line["entropy"]["normal"] for line in lines if line["phase"] == "search"]
    assert entropies[-1] < entropies[0]


def check_the_verdict(run: Path, result: dict[str, Any]) -> None:
    lost = result["retrain"]["test_accuracy"] <= result["baseline"][0]["test_accuracy"]
    assert ("did not beat" in (run / "report.html").read_text()) == lost
