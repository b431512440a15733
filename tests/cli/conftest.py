"""The command line in this process, in an empty folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dnas.cli import main


def listing(folder: Path) -> list[Path]:
    """Everything in `folder` but the caches that libraries keep in the home folder."""
    return sorted(path for path in folder.rglob("*") if ".cache" not in path.parts and ".config" not in path.parts)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run `dnas` in an empty folder, check that it refuses in one sentence, and return the sentence."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DNAS_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*words: str) -> str:
        before = listing(tmp_path)
        with pytest.raises(SystemExit) as stop:
            main(list(words))
        captured = capsys.readouterr()
        assert stop.value.code == 2, captured
        assert captured.err.startswith("dnas: error: ")
        assert captured.err.count("\n") == 1
        assert ". " not in captured.err
        assert "Traceback" not in captured.err
        assert listing(tmp_path) == before
        return captured.err

    return run


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run `dnas`, check that it succeeds, and return what it printed."""

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(list(words))
        assert stop.value.code == 0
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="session")
def small_words() -> list[str]:
    """Settings, as words, of a search on NAS-Bench-201 and a training of one epoch each."""
    settings = (
        "space.channels=2",
        "space.cells=1",
        "space.ops=none,skip_connect",
        "search.epochs=1",
        "search.batch_size=8",
        "retrain.channels=2",
        "retrain.epochs=1",
        "retrain.batch_size=8",
    )
    return [word for setting in settings for word in ("--set", setting)]
