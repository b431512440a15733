"""Stopping in an orderly way on Ctrl-C and SIGTERM."""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dnas.devices import processes


class Interrupted(Exception):
    """The run was asked to stop and has written a checkpoint; `code` is the process's exit code (128 + signal)."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.code = 128 + signum


class Stop:
    """Whether the user has asked to stop; `check` raises between two chunks of work."""

    def __init__(self) -> None:
        self.signum: int | None = None

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signum is not None

    def check(self) -> None:
        """Raise `Interrupted` if a signal has come."""
        if self.signum is not None:
            raise Interrupted(self.signum)


class AgreedStop(Stop):
    """A `Stop` that is set in all processes of a run once it is set in one; all must ask it at the same places."""

    def __init__(self, own: Stop) -> None:
        super().__init__()
        self.own = own

    @property
    def requested(self) -> bool:
        """Whether a signal has come to any process."""
        self.signum = max(processes.exchange(self.own.signum or 0)) or None
        return self.signum is not None

    def check(self) -> None:
        """Raise `Interrupted` in all processes if a signal has come to any."""
        if self.requested:
            super().check()


@contextmanager
def listening() -> Iterator[Stop]:
    """Yield a `Stop` that the first SIGINT or SIGTERM sets; a second signal ends the process at once."""
    stop = Stop()

    def handle(signum: int, frame: FrameType | None) -> None:
        del frame
        if stop.requested:
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)
        stop.signum = signum
        # A signal may come in the middle of a print, whose buffer cannot be entered twice: write past it.
        with contextlib.suppress(OSError):
            os.write(2, b"\nstopping after the present chunk of work and a checkpoint; a second signal stops at once\n")

    before = {signum: signal.signal(signum, handle) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
