"""A run that leaves nothing behind: what its phases write is kept in memory, and there are no checkpoints."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dnas.checkpoint import Checkpoints
from dnas.run.board import Board
from dnas.run.directory import RunDirectory


class Unkept(RunDirectory):
    """A run directory that is no folder."""

    def __init__(self) -> None:
        super().__init__(Path())
        self._lines: list[dict[str, Any]] = []

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold nothing."""
        yield

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Remember a line of the metrics."""
        self._lines.append(record)

    def metrics(self, phase: str) -> list[dict[str, Any]]:
        """Return a phase's lines of the metrics."""
        return [line for line in self._lines if line["phase"] == phase]

    def last_metrics(self, phase: str) -> dict[str, Any]:
        """Return a phase's last line of the metrics; empty if there is none."""
        return (self.metrics(phase) or [{}])[-1]

    def trim_metrics(self, phase: str, step: int) -> None:
        """Do nothing: no line is of a step that is taken again."""
        del phase, step

    def checkpoints(self, name: str) -> Checkpoints:
        """Return checkpoints of which none is written."""
        return _Unwritten(Path(name))

    def board(self, phase: str, first: int) -> Board | None:
        """Return no event file."""
        del phase, first
        return None


class _Unwritten(Checkpoints):
    def steps(self) -> list[int]:
        """Return the steps of all checkpoints: none."""
        return []

    def save(self, step: int, tree: Any) -> None:
        """Write nothing."""
        del step, tree
