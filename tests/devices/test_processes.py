"""Two real processes on loopback search together, stop together, lose one of them, and go on to the same numbers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    "DNAS_TWO_PROCESSES" not in os.environ,
    reason="takes minutes: set DNAS_TWO_PROCESSES=1 to let two processes search together",
)
Pair = list[subprocess.Popen[str]]
Start = Callable[..., Pair]
DNAS = "from dnas.cli import main; main()"
JOINED = """
import os, signal, sys
import numpy as np
from dnas.devices import processes
from dnas.errors import UserError
from dnas.run.interrupt import AgreedStop, Stop
me = int(sys.argv[2])
processes.join(processes.Cluster(sys.argv[1], 2, me, heartbeat_seconds=5))
assert processes.first() == (me == 0)
"""
AGREE = """
long = "x" * 1000 * (1 + me)
assert processes.exchange([me, long]) == [[0, "x" * 1000], [1, "x" * 2000]]
assert processes.first_does(lambda: [me, processes.first_does(lambda: 7)]) == [0, 7]
mine = {"a": np.full(3, me, np.float32), "b": np.arange(2) + me}
first = processes.same(mine)
assert first["a"].tolist() == [0, 0, 0] and first["b"].tolist() == [0, 1]
def fail():
    raise UserError("disk full")
def said(action):
    try:
        return action() or ""
    except UserError as error:
        return str(error)
assert said(lambda: processes.first_does(fail)) == "disk full"
assert said(lambda: processes.all_do(fail if me else int)) == ("disk full" if me else "process 1: disk full")
assert "process 1 has another seed" in said(lambda: processes.check_same("seed", me))
stop = AgreedStop(Stop())
assert not stop.requested
stop.own.signum = 15 if me else None
assert stop.requested and stop.signum == 15
"""
FREEZE = """
if me == 1:
    os.kill(os.getpid(), signal.SIGSTOP)
processes.exchange(None)
"""
KILL = """
processes.exchange(None)
if me == 0:
    os.kill(os.getpid(), signal.SIGKILL)
processes.exchange(None)
"""
PATIENCE = 300


def address() -> str:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


@pytest.fixture
def begin(environment: dict[str, str]) -> Start:
    """Return `(commands) -> processes`, of which each command is the arguments of Python."""

    def start(*commands: list[str]) -> Pair:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return [subprocess.Popen([sys.executable, "-c", *words], env=environment, **pipes) for words in commands]

    return start


@pytest.fixture
def dnas(begin: Start) -> Start:
    """Return `(words of process 0, words of process 1) -> processes`; one list is for both."""

    def start(*words: list[str]) -> Pair:
        own, place = words if len(words) == 2 else words * 2, address()
        together = [["--coordinator", place, "--processes", "2", "--process", str(index)] for index in (0, 1)]
        return begin(*([DNAS, *ours, *common] for ours, common in zip(own, together, strict=True)))

    return start


def end(pair: Pair) -> tuple[list[int], list[str], list[str]]:
    """Wait for both; return their exit codes, outputs and error outputs."""
    try:
        texts = [one.communicate(timeout=PATIENCE) for one in pair]
    finally:
        for one in pair:
            one.kill()
    return [one.returncode for one in pair], [out for out, _ in texts], [err for _, err in texts]


def one_sentence(text: str, *words: str) -> None:
    assert text.startswith("dnas: error: "), text
    assert text.count("\n") == 1, text
    assert ". " not in text
    assert all(word in text for word in words), text


def wait_for_checkpoint(folder: Path, pair: Pair) -> None:
    """Wait until there is one more checkpoint than now."""

    def newest() -> int:
        return max((int(path.name.removeprefix("step-")) for path in folder.glob("step-*")), default=0)

    before, deadline = newest(), time.monotonic() + PATIENCE
    while newest() == before:
        assert all(one.poll() is None for one in pair), end(pair)
        assert time.monotonic() < deadline
        time.sleep(0.005)


def lasting(path: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics without times."""
    lines = map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if "second" not in name} for line in lines]


def test_two_processes_lose_one_and_end_in_the_numbers_of_an_unbroken_run(
    dnas: Start, images: Path, small: tuple[str, ...], simulated: Path, tmp_path: Path
) -> None:
    assignments = [word for setting in small for word in ("--set", setting)]
    search = ["search", "--data", f"npz:{images}", "--seed", "1", "--baseline", "0", *assignments, "--run-dir"]
    whole, run = tmp_path / "whole", tmp_path / "run"
    codes, outputs, errors = end(dnas([*search, str(whole)]))
    assert codes == [0, 0], errors
    assert "report:" in outputs[0]
    assert "search" not in outputs[1], "only process 0 speaks"
    assert (whole / "report.html").exists()
    assert json.loads((whole / "config.json").read_text())["devices"] == {"count": 2, "processes": 2}

    # Without a retraining, which would be the same work once more.
    pair = dnas([*search, str(run), "--set", "retrain.epochs=0"])
    wait_for_checkpoint(run / "checkpoints" / "search", pair)
    pair[1].kill()
    codes, _, errors = end(pair)
    assert codes[0] not in (0, -signal.SIGKILL)
    one_sentence(errors[0], "another process", "--resume")
    codes, outputs, errors = end(dnas(["search", "--resume", str(run)]))
    assert codes == [0, 0], errors
    assert "continuing after step" in outputs[0]

    unbroken, alone = lasting(whole), lasting(simulated / "run-1")
    assert lasting(run) == [line for line in unbroken if line["phase"] == "search"]
    for ours, theirs in zip(unbroken, alone, strict=True):
        for name in ours.keys() & {"step", "train_loss", "valid_loss", "test_accuracy"}:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3), name
    results = [json.loads((path / "result.json").read_text()) for path in (run, whole, simulated / "run-1")]
    assert results[0]["genotype"] == results[1]["genotype"] == results[2]["genotype"]
    assert results[1]["retrain"]["test_accuracy"] == results[2]["retrain"]["test_accuracy"]


def test_what_is_wrong_in_one_process_ends_both(
    dnas: Start, images: Path, tiny_words: list[str], tmp_path: Path
) -> None:
    search = ["search", *tiny_words, "--run-dir", str(tmp_path / "run"), "--data"]
    codes, _, errors = end(dnas([*search, f"npz:{images}"], [*search, f"npz:{tmp_path / 'absent.npz'}"]))
    assert codes == [2, 2]
    one_sentence(errors[0], "process 1", "absent.npz")
    one_sentence(errors[1], "absent.npz")
    assert not (tmp_path / "run").exists()


def test_two_processes_agree(begin: Start) -> None:
    place = address()
    codes, _, errors = end(begin(*([JOINED + AGREE, place, str(index)] for index in (0, 1))))
    assert (codes, errors) == ([0, 0], ["", ""])


@pytest.mark.parametrize(("action", "survivor"), [(FREEZE, 0), (KILL, 1)], ids=["silent", "killed"])
def test_one_process_does_not_outlive_the_other(begin: Start, action: str, survivor: int) -> None:
    place = address()
    pair = begin(*([JOINED + action, place, str(index)] for index in (0, 1)))
    _, error = pair[survivor].communicate(timeout=PATIENCE)
    pair[1 - survivor].kill()
    end([pair[1 - survivor]])
    assert pair[survivor].returncode not in (0, -signal.SIGKILL)
    # Without `dnas`, Python may print the broken connection before JAX reports the lost process.
    assert error.splitlines()[-1].startswith("dnas: error: another process")
    assert "absl" not in error
