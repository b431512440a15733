"""Limits as a user writes them."""

from typing import Any

import numpy as np
import pytest

from dnas.costs import CostTable
from dnas.hardware.limits import Limit, amount, read_limits
from dnas.hardware.model import CostModel

TABLE = CostTable(0.0, {"cell": np.ones((1, 2))})


def model(name: str, metric: str, kind: str = "fitted") -> CostModel:
    return CostModel(name, metric, kind, "toy", {"cell": ("a", "b")}, TABLE, {}, 1, "float32", "made up")


MODELS = (
    model("raspi4", "latency"),
    model("fpga", "latency"),
    model("fpga", "energy"),
    model("exact", "params", "exact"),
    model("exact", "memory", "exact"),
)


@pytest.mark.parametrize(
    ("word", "limit"),
    [
        ("raspi4.latency=12ms", Limit(0, "raspi4.latency", 12.0)),
        ("fpga.latency= 0.5 s", Limit(1, "fpga.latency", 500.0)),
        ("energy=3.5mJ", Limit(2, "fpga.energy", 3.5)),
        ("energy=2e3uJ", Limit(2, "fpga.energy", 2.0)),
        ("params=1M", Limit(3, "params", 1e6)),
        ("params=1.2e6", Limit(3, "params", 1.2e6)),
        ("memory=2MiB", Limit(4, "memory", 2.0**21)),
        ("memory=512B", Limit(4, "memory", 512.0)),
    ],
)
def test_a_limit_is_in_the_unit_of_its_table(word: str, limit: Limit) -> None:
    (found,) = read_limits([word], MODELS)
    assert found[:2] == limit[:2]
    assert found.value == pytest.approx(limit.value)


def test_several_at_once() -> None:
    found = read_limits(["raspi4.latency=12ms", "fpga.latency=9ms", "params=1K"], MODELS)
    assert [limit.model for limit in found] == [0, 1, 3]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["latency"], ("'latency'", "'='", "latency=12ms")),
        (["speed=1ms"], ("speed", "latency")),
        (["pi.latency=1ms"], ("device", "pi", "raspi4")),
        (["raspi4.energy=1mJ"], ("raspi4.energy", "energy", "fpga.energy")),
        (["macs=1M"], ("macs", "profile")),
        (["latency=12ms"], ("raspi4.latency, fpga.latency", "name one")),
        (["params=1ms"], ("params", "'ms'", "K, M, G or none")),
        (["raspi4.latency=12"], ("us, ms, s", "'none'")),
        (["params=0"], ("greater than 0", "got 0")),
        (["params=-3K"], ("greater than 0", "-3")),
        (["params=1e999"], ("greater than 0",)),
        (["params=much"], ("number", "'much'")),
        (["params="], ("number",)),
        (["params=1M", "params=2M"], ("params", "twice")),
    ],
)
def test_what_is_no_limit_is_one_sentence(words: list[str], said: tuple[str, ...], sentence: Any) -> None:
    with sentence(*said):
        read_limits(words, MODELS)


def test_two_models_of_one_name_are_told_apart_by_the_caller(sentence: Any) -> None:
    with sentence("raspi4.latency, raspi4.latency", "one model of each"):
        read_limits(["raspi4.latency=1ms"], [MODELS[0], MODELS[0]])


def test_amounts() -> None:
    assert amount(12.345678, "latency") == "12.35 ms"
    assert amount(1203000.0, "params") == "1,203,000"
    assert amount(2048.0, "memory") == "2,048 B"
