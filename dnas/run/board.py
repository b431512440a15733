"""Event files for TensorBoard, written without a thread so that a full disk is noticed at once."""

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import RecordWriter

from dnas.errors import CannotWrite


class _Records(RecordWriter):  # type: ignore[misc, unused-ignore]
    """Records in an unbuffered file: what was written is there, and closing cannot fail."""

    def __init__(self, path: Path) -> None:
        self._writer = open(path, "ab", buffering=0)  # noqa: SIM115


class Board:
    """One phase's event file in `folder`; epochs from `first` on replace what an earlier process wrote of them."""

    def __init__(self, folder: Path, first: int) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._records = _Records(folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}")
        except OSError as error:
            raise self._failed(error) from None
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self._write(Event(wall_time=time.time(), step=first, session_log=SessionLog(status=SessionLog.START)))

    def __enter__(self) -> "Board":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._records.close()

    def add(self, line: dict[str, Any]) -> None:
        """Write a line of the metrics: numbers as scalars, operation weights and alpha as histograms."""
        for name, value in line.items():
            if isinstance(value, int | float) and name not in ("epoch", "step"):
                self._add(line["epoch"], summary.scalar(name, value))
            elif name == "entropy":
                for group, number in value.items():
                    self._add(line["epoch"], summary.scalar(f"entropy/{group}", number))
            elif name in ("weights", "alpha"):
                for group, rows in value.items():
                    self._add(line["epoch"], summary.histogram(f"{name}/{group}", np.asarray(rows), bins="auto"))

    def _add(self, epoch: int, value: Any) -> None:
        self._write(Event(wall_time=time.time(), step=epoch, summary=value))

    def _write(self, event: Event) -> None:
        try:
            self._records.write(event.SerializeToString())
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> CannotWrite:
        return CannotWrite(self.folder, error)
