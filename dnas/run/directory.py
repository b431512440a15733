"""The run directory: created once, locked while in use, every file replaced whole."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dnas.checkpoint import Checkpoints
from dnas.devices import processes
from dnas.errors import CannotWrite, UserError, reason
from dnas.run.board import Board

CONFIG, PROGRESS, METRICS, RESULT, GENOTYPE = (
    "config.json",
    "progress.json",
    "metrics.jsonl",
    "result.json",
    "genotype.json",
)


class RunDirectory:
    """A folder with one run's files; see `dnas/README.md` for the list.

    Of several processes that do the run together, process 0 reads and writes, and all get what came of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, overwrite: bool) -> "RunDirectory":
        """Make a new run directory.

        Raises:
            UserError: if it exists (unless `overwrite`, and only for a folder that a run left), or cannot be made.
        """
        _make(path, overwrite)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Open the directory of a run that began earlier; `UserError` if there is none."""
        run = cls(path)
        if not run.has(CONFIG):
            raise UserError(
                f"{str(path)!r} is not a run directory: expected a folder with {CONFIG}; give the one that dnas search "
                f"named"
            )
        return run

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for this process; `UserError` if another one does."""
        with ExitStack() as stack:
            processes.first_does(lambda: stack.enter_context(_held(self.path)))
            yield

    @processes.by_first
    def has(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        return (self.path / name).is_file()

    @processes.by_first
    def read(self, name: str) -> dict[str, Any]:
        """Read a JSON file; `UserError` if it is missing or damaged."""
        try:
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read {str(self.path / name)!r} ({reason(error)})") from None
        if not isinstance(value, dict):
            raise UserError(f"cannot read {str(self.path / name)!r}: expected a JSON object")
        return value

    def write(self, name: str, value: Any) -> None:
        """Write a JSON file under a temporary name and rename it."""
        self.write_text(name, json.dumps(value, indent=2) + "\n")

    @processes.by_first
    def write_text(self, name: str, text: str) -> None:
        """Write a text file under a temporary name and rename it; `UserError` if that fails."""
        _write_text(self.path / name, text)

    @processes.by_first
    def append_metrics(self, record: dict[str, Any]) -> None:
        """Add one line to the metrics; `UserError` if that fails."""
        try:
            with (self.path / METRICS).open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(record) + "\n")
        except OSError as error:
            raise CannotWrite(self.path / METRICS, error) from None

    @processes.by_first
    def last_metrics(self, phase: str) -> dict[str, Any]:
        """Return a phase's last line of the metrics; empty if there is none."""
        records = self.metrics(phase)
        return records[-1] if records else {}

    @processes.by_first
    def metrics(self, phase: str) -> list[dict[str, Any]]:
        """Return a phase's lines of the metrics, without one that a kill left half-written."""
        return [record for record, _ in _records(self.path / METRICS) if record["phase"] == phase]

    def checkpoints(self, name: str) -> Checkpoints:
        """Return the checkpoints of this name."""
        return Checkpoints(self.path / "checkpoints" / name)

    def board(self, phase: str, first: int) -> Board | None:
        """Return a phase's event file for TensorBoard, whose epochs from `first` on are written anew."""
        return Board(self.path / "tb" / phase, first)

    @processes.by_first
    def trim_metrics(self, phase: str, step: int) -> None:
        """Drop a phase's lines of later steps, and a half-written last line: a resumed run writes them anew."""
        target = self.path / METRICS
        if not target.exists():
            return
        kept = [line for record, line in _records(target) if record["phase"] != phase or record["step"] <= step]
        _write_text(target, "".join(f"{line}\n" for line in kept))


def _records(path: Path) -> list[tuple[dict[str, Any], str]]:
    """Return the lines of the metrics as values and as they stand, without half-written ones."""
    found = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    for line in lines:
        try:
            found.append((json.loads(line), line))
        except ValueError:
            continue
    return found


@processes.by_first
def _make(path: Path, overwrite: bool) -> None:
    try:
        if path.is_symlink() or path.exists():
            empty = path.is_dir() and not any(path.iterdir())
            if not empty and not overwrite:
                raise UserError(
                    f"run directory {str(path)!r} exists: choose another --run-dir, continue it with --resume, "
                    f"or replace it with --overwrite"
                )
            if not empty and not (path / CONFIG).is_file():
                raise UserError(
                    f"{str(path)!r} was not made by dnas (it holds no {CONFIG}): it is not overwritten, choose "
                    f"another --run-dir"
                )
            if not empty:
                with _held(path):
                    shutil.rmtree(path)
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the run directory {str(path)!r} ({reason(error)}): choose another") from None


@contextmanager
def _held(path: Path) -> Iterator[None]:
    with open(path / ".lock", "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"run directory {str(path)!r} is in use by another process: wait for it") from None
        yield


def _write_text(target: Path, text: str) -> None:
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(unfinished, target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise CannotWrite(target, error) from None
