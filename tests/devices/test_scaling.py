"""The paper's arithmetic: closed forms of the ring and the tree, and the table that is made with it."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from dnas.devices import Traffic
from dnas.devices.scaling import Network, communication

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "experiments" / "results" / "scaling"
SENT = Traffic(Counter({"all-reduce": 8_000_000}), 100)
NETWORK = Network(per_host=4, inside=2e9, between=1e9, start=1e-5, hop=1e-6)


def test_one_device_sends_nothing() -> None:
    assert communication(SENT, 1, NETWORK).total == 0


def test_within_a_host_a_ring_moves_all_but_one_share_twice() -> None:
    cost = communication(SENT, 4, NETWORK)
    assert cost.bytes == pytest.approx(2 * 3 / 4 * 8e6 / 2e9)
    assert cost.messages == pytest.approx(100 * 1e-5)
    assert cost.total == cost.bytes + cost.messages


def test_between_hosts_the_slower_link_and_the_depth_of_the_tree_count() -> None:
    cost = communication(SENT, 32, NETWORK)
    assert cost.bytes == pytest.approx(2 * 31 / 32 * 8e6 / 1e9)
    assert cost.messages == pytest.approx(100 * (1e-5 + 2 * 3 * 1e-6))


def test_bytes_are_bounded_and_messages_grow_with_the_logarithm() -> None:
    costs = [communication(SENT, 4 * 2**k, NETWORK) for k in range(1, 9)]
    assert all(cost.bytes < 2 * 8e6 / 1e9 for cost in costs)
    steps = [later.messages - sooner.messages for sooner, later in pairwise(costs)]
    assert steps == pytest.approx([100 * 2 * 1e-6] * len(steps))


def test_the_table_in_the_project_is_what_its_counts_give(tmp_path: Path) -> None:
    shutil.copy(RESULTS / "scaling.json", tmp_path)
    subprocess.run([sys.executable, ROOT / "scripts" / "scaling", tmp_path, "--again"], check=True, capture_output=True)
    for name in ("scaling.json", "scaling.md"):
        assert (tmp_path / name).read_text() == (RESULTS / name).read_text()


def test_the_counts_in_the_project_are_gradients_and_batch_statistics() -> None:
    for counted in json.loads((RESULTS / "scaling.json").read_text())["counted"].values():
        least = counted["params"] + 4 * counted["stats"]
        assert counted["bytes"].keys() == {"all-reduce"}
        assert least < counted["bytes"]["all-reduce"] / 4 < 1.005 * (least + 2 * counted["stats"])
