"""`dnas export`: a folder with files, card and table, or one sentence and nothing."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dnas.cli import main
from dnas.export import command
from dnas.export.place import whole_folder
from dnas.export.trained import read_trained
from dnas.run.interrupt import Interrupted

Make = Callable[..., Path]


def listing(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if ".cache" not in path.parts)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Run `dnas export`, check that it refuses in one sentence and leaves everything as it was."""

    def run(*words: object) -> str:
        before = listing(tmp_path)
        with pytest.raises(SystemExit) as stop:
            main(["export", *map(str, words)])
        said = capsys.readouterr().err
        assert stop.value.code == 2, said
        assert said.startswith("dnas: error: ")
        assert (said.count("\n"), said.count(". ")) == (1, 0)
        assert listing(tmp_path) == before
        return said

    return run


def test_a_run_becomes_a_folder(run_directory: Make, capsys: pytest.CaptureFixture[str], refused: Callable) -> None:
    run = run_directory()
    words = ["export", str(run), "--to", "stablehlo", "--to", "onnx", "--to", "flax", "--hardware", "raspi4"]
    with pytest.raises(SystemExit) as stop:
        main(words)
    said = capsys.readouterr().out
    assert stop.value.code == 0, said
    folder = run / "export"
    assert f"card: {folder / 'README.md'}" in said
    files = {"model.stablehlo", "model.onnx", "model.py", "weights.safetensors", "README.md", "card.json"}
    assert {path.name for path in folder.iterdir()} == files
    assert not list(run.glob(".export*"))
    card = json.loads((folder / "card.json").read_text())
    assert card["size"]["files"] == {name: (folder / name).stat().st_size for name in sorted(card["size"]["files"])}
    assert card["batch_norm"]["left"] == ["last_norm/bn"]
    assert card["costs"][0]["title"] == "raspi4.latency"
    scores = {one["score"] for one in card["checks"].values()} | {
        one["network_score"] for one in card["checks"].values()
    }
    assert len(scores) == 1
    for one in card["checks"].values():
        assert one["inputs"] == 20
        assert one["difference"] < 1e-4
    page = (folder / "README.md").read_text()
    for words_of_page in ("20 test images", "SHA-256", "raspi4.latency", "dnas train genotype.json", "| onnx |"):
        assert words_of_page in page
    assert "add --overwrite" in refused(run, "--to", "onnx")
    shutil.rmtree(run / "model")
    assert "checkpoint" in refused(run, "--to", "onnx", "--overwrite")


def test_what_is_refused(run_directory: Make, refused: Callable, tmp_path: Path, images: Path) -> None:
    run = run_directory()
    assert "unknown format 'onx': did you mean 'onnx'" in refused(run, "--to", "onx")
    assert "--to" in refused(run)
    assert "is not a run directory" in refused(tmp_path / "none", "--to", "onnx")
    assert "was not made by dnas export" in refused(run, "--to", "onnx", "--out", run)
    assert "is a file" in refused(run, "--to", "onnx", "--out", run / "config.json")
    assert "unknown hardware" in refused(run, "--to", "stablehlo", "--hardware", "rasp4")
    moved = (run / "result.json").rename(tmp_path / "result.json")
    assert "is not finished: continue it with dnas train --resume" in refused(run, "--to", "onnx")
    moved.rename(run / "result.json")
    (run / "config.json").write_text("{")
    assert "cannot read" in refused(run, "--to", "onnx")


def test_a_run_without_a_trained_network(run_directory: Make, refused: Callable) -> None:
    assert "trained no network" in refused(run_directory(retrain=None), "--to", "onnx")


def test_other_data(run_directory: Make, refused: Callable, images: Path) -> None:
    run = run_directory()
    kept = images.read_bytes()
    arrays = dict(np.load(images))
    arrays["x_test"] = arrays["x_test"] // 2
    try:
        np.savez(images, **arrays)
        assert "differs from the one" in refused(run, "--to", "onnx")
    finally:
        images.write_bytes(kept)


def test_a_missing_package_is_a_sentence(
    run_directory: Make, refused: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dnas.export.needed.importlib.util.find_spec", lambda name: None)
    assert "pip install 'dnas[export]'" in refused(run_directory(), "--to", "onnx")


def test_a_space_without_text_says_what_it_can(run_directory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from dnas.errors import UserError
    from dnas.export.files import check_formats

    trained = read_trained(run_directory(), None)
    monkeypatch.delattr(trained.module, "python_source")
    with pytest.raises(UserError, match="export to stablehlo or onnx"):
        check_formats(trained, ["flax"])


def test_a_file_that_does_something_else_is_not_kept(
    run_directory: Make, refused: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "reference", lambda call, inputs: np.zeros((len(inputs), 2), np.float32))
    assert "differs from the network" in refused(run_directory(), "--to", "stablehlo")


@pytest.mark.parametrize("overwritten", [True, False])
def test_killed_halfway_leaves_what_was_there(tmp_path: Path, overwritten: bool) -> None:
    folder = tmp_path / "folder"
    if overwritten:
        folder.mkdir()
        (folder / "before").write_text("kept")
    before = listing(tmp_path)

    def half(ending: Callable[[], object]) -> None:
        with whole_folder(folder) as unfinished:
            (unfinished / "half").write_text("half")
            ending()

    with pytest.raises(Interrupted):
        half(lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert listing(tmp_path) == before
    with pytest.raises(ZeroDivisionError):
        half(lambda: 1 / 0)
    assert listing(tmp_path) == before
    half(lambda: None)
    assert [path.name for path in folder.iterdir()] == ["half"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
