"""The scripts in experiments/own/: tasks and data of a user's own, each in a few lines, run from end to end."""

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

FOLDER = Path(__file__).parents[1] / "experiments" / "own"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"own_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What each script is called with: small data where it takes a file."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "text.txt").write_text("to be or not to be, that is the question. " * 60, encoding="utf-8")
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    np.savez(
        folder / "graph.npz",
        edges=rng.integers(0, 30, (60, 2)),
        feat_row=np.repeat(np.arange(30), 2),
        feat_col=np.stack([labels, 3 + rng.integers(0, 3, 30)], axis=1).reshape(-1),
        feat_val=np.ones(60),
        labels=labels,
        train=np.arange(12),
        val=np.arange(12, 20),
        test=np.arange(20, 30),
    )
    return {
        "table": ["--epochs", "2"],
        "text": ["--text", str(folder / "text.txt"), "--epochs", "1", "--windows", "72"],
        "graph": ["--graph", str(folder / "graph.npz"), "--epochs", "2"],
        "images": ["--epochs", "1"],
    }


METRIC = {"table": "mse", "text": "bits", "graph": "accuracy", "images": "accuracy"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_searches_trains_and_compares(name: str, words: dict[str, list[str]]) -> None:
    done = CliRunner().invoke(script(name).main, words[name], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found, rival, *_ = done.output.partition("on the test data:\n")[2].splitlines()
    assert found.startswith("found ")
    assert rival.startswith("random 0 ")
    assert METRIC[name] in found
    assert METRIC[name] in rival


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_is_short(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    without = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)]
    lines = ast.unparse(ast.Module(without, [])).splitlines()
    assert 10 < sum(bool(line.strip()) for line in lines) <= 40
