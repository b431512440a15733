"""The paper's arithmetic: closed forms of the ring and the tree."""

from collections import Counter
from itertools import pairwise

import pytest

from dnas.devices import Traffic
from dnas.devices.scaling import Network, communication

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
