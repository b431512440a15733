"""What several processes agree on, and what a user gets to see of their end, without any second process."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from dnas.cli.options import Where
from dnas.devices import processes, stderr
from dnas.devices.processes import Cluster
from dnas.run.interrupt import AgreedStop, Interrupted, Stop

Sentence = Callable[..., AbstractContextManager[None]]
REPORT = (
    b"E1121 15:31:10.396122    6132 coordination_service.cc:1520] [138] Shutdown barrier has failed:\n",
    b"1\n",
    b"F1121 15:31:10.413965    6143 client.h:80] Terminating process because the JAX distributed service detected\n",
    b"*** Check failure stack trace: ***\n",
    b"    @     0x7f403fc40634  absl::LogMessage::SendToLog()\n",
)


def test_alone_everything_is_done_at_once() -> None:
    assert not processes.several()
    assert processes.first()
    assert processes.exchange({"a": 1}) == [{"a": 1}]
    assert processes.first_does(lambda: 3) == processes.all_do(lambda: 3) == 3
    processes.check_same("seed", 0)
    assert not processes.broken(RuntimeError("Gloo AllReduce failed"))


@pytest.mark.parametrize("start", [0, 2])
def test_a_report_becomes_one_sentence(start: int) -> None:
    before = [b"warning: low on ink\n", b"I0000 00:00:1.5 77 other.cc:1] something else\n"]
    assert list(stderr.passed_on(iter([*before, *REPORT[start:]]))) == [*before, stderr.LOST]


def test_an_error_that_has_been_named_is_not_named_again() -> None:
    own = [b"dnas: error: no such file\n"]
    assert list(stderr.passed_on(iter([*own, *REPORT]))) == own
    assert list(stderr.passed_on(iter(own))) == own


def test_all_stop_if_one_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    others: list[int] = [0]
    monkeypatch.setattr(processes, "exchange", lambda value: [value, *others])
    stop = AgreedStop(Stop())
    stop.check()
    assert not stop.requested
    others[0] = 15
    assert stop.requested
    with pytest.raises(Interrupted) as caught:
        stop.check()
    assert caught.value.code == 143


def test_processes_that_differ_are_refused_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, sentence: Sentence
) -> None:
    monkeypatch.setattr(processes, "exchange", lambda value: [value, value, "other"])
    with sentence("process 2", "data set"):
        processes.check_same("data set", "a")


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        (Cluster("here:1", 2), ("--process", "all three")),
        (Cluster("here", 2, 0), ("--coordinator", "HOST:PORT", "'here'")),
        (Cluster("here:1", 2, 2), ("--process", "from 0 to 1", "got 2")),
    ],
)
def test_an_incomplete_cluster_is_one_sentence(cluster: Cluster, words: tuple[str, ...], sentence: Sentence) -> None:
    with sentence(*words):
        processes.join(cluster)


@pytest.mark.parametrize(
    ("given", "wanted", "words"),
    [
        ({}, None, ""),
        ({"devices": "all"}, "all", " --devices all"),
        ({"devices": "4", "distributed": True}, 4, " --devices 4 --distributed"),
        (
            {"coordinator": "a:1", "processes": 2, "process": 0},
            None,
            " --coordinator a:1 --processes 2 --process 0",
        ),
    ],
)
def test_options_are_said_again_as_they_were_given(given: dict[str, Any], wanted: Any, words: str) -> None:
    where = Where(**given)
    assert where.wanted() == wanted
    assert where.words() == words


def test_wrong_options_are_one_sentence(sentence: Sentence) -> None:
    with sentence("--devices", "'all'", "'many'"):
        Where(devices="many").wanted()
    with sentence("--distributed", "--coordinator"):
        Where(coordinator="a:1", distributed=True).join()
