"""Compiled programs stay in the user's cache folder from one process to the next, unless JAX is told of another."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest

CACHE = "JAX_COMPILATION_CACHE_DIR"


@pytest.fixture
def folder_of_jax() -> Iterator[Callable[[], str]]:
    """Return where JAX of this process keeps compiled programs; it is as before afterwards."""
    before = jax.config.jax_compilation_cache_dir
    yield lambda: jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", before)


def test_a_second_process_finds_what_the_first_compiled(images: Path, small_words: list[str], tmp_path: Path) -> None:
    # Without a limit of time, so that the programs of a tiny search are worth keeping.
    env = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")} | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, "-c", "from dnas.cli import main; main()", "search", "--space", "nasbench201"]
    command += ["--data", f"npz:{images}", *small_words, "--set", "retrain.epochs=0"]

    def entries(run: str) -> dict[str, int]:
        done = subprocess.run(
            [*command, "--run-dir", str(tmp_path / run)], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        files = (tmp_path / "cache" / "dnas" / "compiled").glob("*-cache")
        return {path.name: path.stat().st_mtime_ns for path in files}

    first = entries("first")
    assert len(first) > 1
    assert entries("second") == first


@pytest.mark.parametrize("base", [None, "elsewhere"], ids=["home", "XDG_CACHE_HOME"])
def test_the_folder_is_below_the_users_cache(
    printed: Callable[..., str],
    folder_of_jax: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    base: str | None,
) -> None:
    monkeypatch.delenv(CACHE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / base) if base else "")
    printed("--help")
    assert folder_of_jax() == str(tmp_path / (base or ".cache") / "dnas" / "compiled")


def test_the_variable_of_jax_is_heeded(
    printed: Callable[..., str], folder_of_jax: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE, "another")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = folder_of_jax()
    printed("--help")
    assert folder_of_jax() == before
