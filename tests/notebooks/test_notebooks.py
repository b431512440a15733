"""The notebooks run from top to bottom at a tiny size, draw what they promise, and are stored without outputs."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "experiments" / "notebooks").glob("*.ipynb"))}
INSTALL = "# Where dnas is not installed"


def read(name: str) -> Any:
    return nbformat.read(NOTEBOOKS[name], as_version=4)


def executed(name: str, folder: Path, **variables: str) -> Any:
    """Run a notebook in an empty folder; the kernel sees this checkout and the tests' compilation cache."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {
        **os.environ,
        "PYTHONPATH": path,
        "DNAS_TINY": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    env.pop("DNAS_TABLE", None)
    notebook = read(name)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(env=env | variables)
    return notebook


def shown(notebook: Any, kind: str) -> list[str]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output["data"][kind] for output in outputs if kind in output.get("data", {})]


def printed(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output["text"] for output in outputs if output["output_type"] == "stream")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_stored_without_outputs_and_without_this_machine(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    text = NOTEBOOKS[name].read_text(encoding="utf-8")
    assert not re.search(r"/(home|work|tmp|Users|root)/|https?://", text)
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_begins_with_its_story_an_install_cell_and_its_sizes(name: str) -> None:
    cells = read(name).cells
    assert cells[0].source.startswith("# ")
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert code[0].startswith(INSTALL)
    assert code[1].startswith("TINY = ")
    assert code[0] == next(cell.source for cell in read("first_search").cells if cell.cell_type == "code")


@pytest.mark.parametrize(
    ("nvidia", "variables", "wanted"),
    [
        ("exit 0", {}, "dnas[cuda]"),
        ("exit 9", {}, "dnas"),
        (None, {}, "dnas"),
        (None, {"TPU_NAME": "a"}, "dnas[tpu]"),
        ("exit 0", {"TPU_NAME": "a"}, "dnas[cuda]"),
    ],
)
def test_the_install_cell_finds_the_accelerator(
    nvidia: str | None, variables: dict[str, str], wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = next(cell.source for cell in read("first_search").cells if cell.cell_type == "code")
    if nvidia is not None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{nvidia}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    (tmp_path / "python").write_text(f'#!/bin/sh\necho "$@" >{tmp_path / "called"}\n')
    (tmp_path / "python").chmod(0o755)
    for name in ("TPU_NAME", "COLAB_TPU_ADDR", "TPU_ACCELERATOR_TYPE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    exec(source, {})
    assert not (tmp_path / "called").exists()  # dnas can be imported here
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    exec(source, {})
    assert (tmp_path / "called").read_text().split() == ["-m", "pip", "install", "--quiet", wanted]


def test_a_first_search(tmp_path: Path) -> None:
    done = executed("first_search", tmp_path)
    assert len(shown(done, "image/png")) == 3
    pictures = shown(done, "text/html")
    assert len(pictures) == 2
    assert all("<svg" in html for html in pictures)
    assert any("sep_conv_3x3" in text and "┃" in text for text in shown(done, "text/plain"))
    assert "best random" in printed(done)


def test_a_latency_limit_is_kept_and_a_front_is_drawn(tmp_path: Path) -> None:
    done = executed("latency_limit", tmp_path)
    assert len(shown(done, "image/png")) == 4
    (predicted,) = re.findall(r"with the limit: [\d.]+ ms predicted, ([\d.]+) ms with the margin", printed(done))
    assert float(predicted) <= 20.05
    assert "no table was given" in printed(done)


def test_methods_are_compared_against_a_table(tmp_path: Path, table_file: Path) -> None:
    done = executed("comparing_methods", tmp_path, DNAS_TABLE=str(table_file))
    assert "true test accuracy on cifar10" in printed(done)
    assert "it cannot be below 1.000" in printed(done)
    assert len(shown(done, "image/png")) == 1
    assert any("<svg" in html for html in shown(done, "text/html"))
    assert (tmp_path / "studies" / "notebook" / "study.html").is_file()


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    done = executed("own_model", tmp_path)
    assert len(shown(done, "image/png")) == 3
    space, genotype = (html for html in shown(done, "text/html") if "<svg" in html)
    for choice in ("Repeat_0", "Repeat_0.block_0.Choice_0", "Choice_0", "InputChoice_0"):
        assert f">{choice}</text>" in space
        assert f">{choice}</text>" in genotype
    assert "best random" in printed(done)
