"""Run directories: made once, replaced only on request, locked, and written whole."""

import os
from pathlib import Path

import pytest

from dnas.errors import UserError
from dnas.run.directory import CONFIG, RunDirectory


def test_an_existing_run_is_not_touched_without_overwrite(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", overwrite=False)
    run.write(CONFIG, {"a": 1})
    with pytest.raises(UserError, match="exists"):
        RunDirectory.create(tmp_path / "run", overwrite=False)
    assert run.read(CONFIG) == {"a": 1}
    RunDirectory.create(tmp_path / "run", overwrite=True)
    assert not (tmp_path / "run" / CONFIG).exists()


def test_a_folder_of_something_else_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="not made by dnas"):
        RunDirectory.create(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_run_in_use_is_neither_overwritten_nor_resumed(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", overwrite=False)
    run.write(CONFIG, {})
    with run.lock():
        with pytest.raises(UserError, match="in use"):
            RunDirectory.create(tmp_path / "run", overwrite=True)
        with pytest.raises(UserError, match="in use"), RunDirectory.open(tmp_path / "run").lock():
            pytest.fail("locked twice")
    with run.lock():
        assert (tmp_path / "run" / CONFIG).exists()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunDirectory(tmp_path)
    run.write("a.json", {"old": True})

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        run.write("a.json", {"old": False})
    assert run.read("a.json") == {"old": True}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_resuming_drops_later_metrics_and_a_torn_line(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for phase, step in (("search", 5), ("search", 10), ("retrain", 3)):
        run.append_metrics({"phase": phase, "step": step})
    with (tmp_path / "metrics.jsonl").open("a") as handle:
        handle.write('{"phase": "search", "st')
    run.trim_metrics("search", 5)
    assert run.last_metrics("search") == {"phase": "search", "step": 5}
    assert run.last_metrics("retrain") == {"phase": "retrain", "step": 3}
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_damaged_json_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text('{"half":')
    with pytest.raises(UserError, match="cannot read"):
        RunDirectory.open(tmp_path).read(CONFIG)
