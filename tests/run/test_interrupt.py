"""Signals are noted, never lost in a print, and undone afterwards."""

import io
import signal
import sys

import pytest

from dnas.run.interrupt import Interrupted, listening


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_kept_until_it_is_asked_for(signum: signal.Signals, code: int) -> None:
    before = signal.getsignal(signum)
    with listening() as stop:
        stop.check()
        assert not stop.requested
        signal.raise_signal(signum)
        assert stop.requested
        with pytest.raises(Interrupted) as caught:
            stop.check()
        assert caught.value.code == code
    assert signal.getsignal(signum) is before


def test_a_signal_in_the_middle_of_a_print_is_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            signal.raise_signal(signal.SIGTERM)
            return len(bytes(data))  # type: ignore[call-overload]

    stream = io.TextIOWrapper(io.BufferedWriter(Busy()))
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    with listening() as stop:
        print("words", flush=True)
        assert stop.requested
