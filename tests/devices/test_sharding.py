"""A minibatch divided among 4 or 8 simulated devices gives the numbers of one device."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from dnas.devices import ONE, choose

ABOUT = ("places", "different")


def state(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / f"search-{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def load(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


@pytest.mark.parametrize("name", ["4", "8", "moved"])
def test_a_search_on_several_devices_is_that_on_one(simulated: Path, name: str) -> None:
    one, several = state(simulated, "1"), state(simulated, name)
    assert one.keys() == several.keys()
    assert int(one[".step"]) == int(several[".step"]) == 12
    for leaf in one.keys() - set(ABOUT):
        np.testing.assert_allclose(several[leaf], one[leaf], rtol=2e-3, atol=2e-5, err_msg=leaf)


@pytest.mark.parametrize(("name", "count"), [("1", 1), ("4", 4), ("8", 8), ("moved", 8)])
def test_every_device_holds_the_same_bits_of_the_whole_state(simulated: Path, name: str, count: int) -> None:
    arrays = state(simulated, name)
    assert set(arrays["places"].tolist()) == {count}
    assert set(arrays["different"].tolist()) == {1}


def test_metrics_and_the_retrained_network_are_those_of_one_device(simulated: Path) -> None:
    one, eight = (
        [json.loads(line) for line in (simulated / f"run-{count}" / "metrics.jsonl").read_text().splitlines()]
        for count in (1, 8)
    )
    assert [line["phase"] for line in one] == ["search"] * 4 + ["retrain"]
    for ours, theirs in zip(eight, one, strict=True):
        for name in ours.keys() & {"step", "train_loss", "train_accuracy", "valid_loss", "test_accuracy"}:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3), name
    found = [load(simulated, f"result-{count}.json") for count in (1, 8)]
    assert found[0]["genotype"] == found[1]["genotype"]
    assert found[0]["retrain"]["test_accuracy"] == found[1]["retrain"]["test_accuracy"]


def test_a_run_notes_its_devices_and_keeps_their_number(simulated: Path) -> None:
    assert load(simulated, "kept.json") == {"written": {"count": 4, "processes": 1}, "again": 4}


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("too many", ("--devices", "at most 8", "got 9")),
        ("none", ("--devices", "from 1", "got 0")),
        ("search batch", ("search.batch_size is 12", "8 devices", "multiple of 8")),
        ("retrain batch", ("retrain.batch_size is 12", "8 devices", "multiple of 8")),
    ],
)
def test_what_cannot_be_divided_is_one_sentence(simulated: Path, case: str, words: tuple[str, ...]) -> None:
    text = load(simulated, "wrong.json")[case]
    assert all(word in text for word in words), text
    assert "\n" not in text
    assert ". " not in text


def test_one_device_changes_no_program(sentence: Callable[..., AbstractContextManager[None]]) -> None:
    assert choose() is choose(1) is ONE
    tree = {"a": np.zeros(3)}
    assert ONE.everywhere(tree) is ONE.here(tree) is tree
    assert ONE.divide(tree) is ONE.share(tree) is tree
    assert ONE.whole is None
    with sentence("--devices", jax.local_device_count(), 10**6):
        choose(10**6)


def test_what_is_decided_between_epochs_is_what_one_device_decides(simulated: Path) -> None:
    decided = load(simulated, "decided.json")
    assert decided["4"] == decided["1"]
    assert all(np.sum(rows) == 1 for rows in decided["1"].values()), "one operation of each cell"
