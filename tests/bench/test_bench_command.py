"""The command: a small benchmark from end to end, and bad input refused in one sentence with nothing written."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import pytest

from dnas.bench import compiling, rivals
from dnas.bench.command import main
from dnas.bench.compiling import persistent_cache
from dnas.bench.points import FORWARD

TINY = ["--case", "nasbench201", "--batch", "2", "--image", "8", "--channels", "2", "--parts", "forward"]
FAST = ["--set", "space.cells=1", "--set", "space.ops=none,nor_conv_1x1", "--seconds", "0", "--rounds", "2"]


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run the benchmark in an empty folder, check that it refuses in one sentence, and return the sentence."""
    monkeypatch.chdir(tmp_path)

    def check(*words: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        code = run(*words)
        captured = capsys.readouterr()
        assert code == 2, captured
        assert captured.err.startswith("bench: error: ")
        assert captured.err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return captured.err

    return check


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--case", "dart"], "unknown case 'dart': did you mean 'darts'"),
        (["--parts", "backward"], "expected some of forward, forward_backward, step, got 'backward'"),
        (["--batch", "many"], "expected whole numbers with commas between them, got 'many'"),
        (["--batch", "0"], "--batch: expected at least 1, got 0"),
        (["--channels", "0"], "--channels: expected at least 1, got 0"),
        (["--dtype", "float16"], "got 'float16'"),
        (["--image", "30"], "images of 30x30"),
        (["--image", "8", "--case", "derived"], "set retrain.auxiliary=false"),
        (["--set", "space.cell=5"], "did you mean 'space.cells'"),
        (["--set", "space.cells=many"], "expected an int, got 'many'"),
        (["--set", "space.cells"], "expected NAME=VALUE"),
        (["--variant", "space.cells"], "expected NAME=VALUE"),
        (["--variant", "space.rematerialise=true"], "unknown --variant setting"),
        (["--variant", "method=dart"], "unknown method 'dart': did you mean 'darts'"),
        (["--method", "dart"], "unknown method 'dart'"),
        (["--against", "tensorflow"], "'tensorflow' is not"),
        (["--rounds", "0"], "0 is not in the range"),
        (["--what"], "No such option"),
    ],
)
def test_bad_input(refused: Callable[..., str], words: list[str], says: str) -> None:
    assert says in refused(*words)


def test_results_are_not_replaced(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "bench.json").write_text("{}")
    assert "--overwrite" in refused("--out", "out")
    (tmp_path / "file").write_text("")
    assert "expected a folder" in refused("--out", "file")


def test_without_torch(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "find_spec", lambda name: None)
    assert "pip install 'torch>=2.6'" in refused("--against", "torch")


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert "Examples:" in text
    assert "H100" in text


def test_a_small_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # Parallel test processes claim a terminal of 80 letters, in which names are broken.
    monkeypatch.setenv("COLUMNS", "200")
    out = tmp_path / "out"
    words = ["--variant", "space.dtype=bfloat16", "--no-preparation", "--out", str(out)]
    assert run(*TINY, *FAST, *words) == 0
    assert sorted(path.name for path in out.iterdir()) == ["bench.json", "bench.svg"]
    result = json.loads((out / "bench.json").read_text())
    assert result["complete"] is True
    plain, variant = result["measurements"]
    assert (plain["dtype"], variant["dtype"]) == ("float32", "bfloat16")
    assert plain["macs_per_image"] == variant["macs_per_image"] > 0
    assert plain["seconds_median"] > 0
    assert plain["temporary_bytes"] > 0
    (ratio,) = result["ratios"]
    assert ratio["reference"] == "dnas"
    assert ratio["time_ratio_quartile_low"] <= ratio["time_ratio_median"] <= ratio["time_ratio_quartile_high"]
    assert result["environment"]["cores"] >= 1
    shown = capsys.readouterr().out
    assert "space.dtype=bfloat16 / dnas" in shown
    assert str(out / "bench.json") in shown


def test_a_process_of_its_own_compiles_into_the_cache_that_it_is_told_of(
    tiny_point: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    point = tiny_point("nasbench201", **{"space.cells": 1, "space.ops": ("none", "nor_conv_1x1")})
    request = json.dumps({"point": point.to_json(), "part": FORWARD, "cache": str(tmp_path)})
    before = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    kept = []
    for _ in range(2):
        monkeypatch.setattr(sys, "stdin", io.StringIO(request))
        compiling._main()
        kept.append({path.name for path in tmp_path.iterdir() if not path.name.endswith("-atime")})
    # The second time nothing is compiled anew.
    assert kept[0] == kept[1] != set()
    assert jax.config.jax_compilation_cache_dir == before  # type: ignore[attr-defined]
    cold, warm = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert min(cold["trace_seconds"], cold["compile_seconds"], warm["compile_seconds"]) > 0


def test_the_cache_is_given_back_after_an_error(tmp_path: Path) -> None:
    before = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError), persistent_cache(tmp_path):
        assert jax.config.jax_compilation_cache_dir == str(tmp_path)  # type: ignore[attr-defined]
        _ = 1 / 0
    assert jax.config.jax_compilation_cache_dir == before  # type: ignore[attr-defined]


def test_the_script_installs_and_passes_its_arguments_on() -> None:
    text = (Path(__file__).parents[2] / "scripts" / "bench").read_text()
    assert 'exec "$VENV/bin/python" -m dnas.bench "$@"' in text
    assert "prepare plain" in text
