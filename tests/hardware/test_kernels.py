"""Kernels of small networks, counted by hand."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.hardware.kernels import Program, program
from dnas.nn import functions
from dnas.nn.base import Norm
from dnas.nn.conv import Conv
from dnas.nn.operations import operation
from dnas.nn.pointwise import Pointwise
from dnas.selection import random_genotype
from dnas.types import Network, Output
from search_spaces import darts, hypercuboid, nasbench201, rdarts

SHAPE = (8, 6, 3)
PIXELS = 8 * 6


class Body(nn.Module):
    """Calls a function that may call modules."""

    body: Callable[[jax.Array], Any]

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, drop_path: float = 0.0) -> Output:
        """Return what the function does."""
        return Output(self.body(x))


def network(body: Callable[[jax.Array], Any]) -> Network:
    return functions.network(Body(body), lambda shape: None)


def kernels(body: Callable[[jax.Array], Any], batch_size: int = 1) -> Program:
    return program(network(body), SHAPE, batch_size)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_a_convolution_is_one_kernel_whatever_is_folded_into_it(batch_size: int) -> None:
    def alone(x: jax.Array) -> jax.Array:
        return Conv(4)(x)

    def folded(x: jax.Array) -> jax.Array:
        y = nn.sigmoid(Norm()(Conv(4)(nn.relu(x * 2 + 1)), False))
        return y * nn.relu(y)

    (kernel,) = kernels(alone, batch_size).kernels
    assert kernel.kind == "conv"
    assert kernel.macs == batch_size * PIXELS * 9 * 3 * 4
    assert (kernel.read, kernel.weights, kernel.written) == (
        batch_size * PIXELS * 3,
        9 * 3 * 4,
        batch_size * PIXELS * 4,
    )
    assert kernels(folded, batch_size) == kernels(alone, batch_size)


@pytest.mark.parametrize(
    ("op", "kinds", "macs"),
    [
        ("max_pool_3x3", {"pool": 1}, 0),
        ("avg_pool_3x3", {"pool": 1}, 0),
        ("skip_connect", {}, 0),
        ("none", {}, 0),
        ("nor_conv_1x1", {"product": 1}, PIXELS * 9),
        ("nor_conv_3x3", {"conv": 1}, PIXELS * 81),
        ("dil_conv_5x5", {"conv": 1, "product": 1}, PIXELS * (75 + 9)),
        ("sep_conv_3x3", {"conv": 2, "product": 2}, PIXELS * 2 * (27 + 9)),
    ],
)
def test_kernels_of_operations(op: str, kinds: dict[str, int], macs: int) -> None:
    found = kernels(lambda x: operation(op)(3, pool_norm=True)(x, False))
    assert Counter(kernel.kind for kernel in found.kernels) == kinds
    assert sum(kernel.macs for kernel in found.kernels) == macs
    for kernel in found.kernels:
        assert (kernel.read, kernel.written) == (3 * PIXELS, 3 * PIXELS)


def test_a_strided_reduction_reads_only_what_it_needs() -> None:
    found = kernels(lambda x: operation("skip_connect")(4, 2)(x, False)).kernels
    assert [kernel.kind for kernel in found] == ["product", "product", "concat"]
    assert [kernel.read for kernel in found] == [3 * PIXELS // 4] * 2 + [4 * PIXELS // 4]
    assert found[2].sources == (found[0].target, found[1].target)


def test_sums_are_binary_and_a_constant_joins_for_nothing() -> None:
    def total(x: jax.Array) -> jax.Array:
        return nn.relu(sum((Pointwise(3)(x) for _ in range(4)), start=jnp.zeros_like(x)) + 1)

    assert Counter(kernel.kind for kernel in kernels(total).kernels) == {"product": 4, "join": 3}


def test_a_module_of_a_constant_counts() -> None:
    found = kernels(lambda x: x + Pointwise(3)(jnp.zeros_like(x)))
    assert [kernel.kind for kernel in found.kernels] == ["product", "join"]


def test_peak_of_a_chain_is_the_greatest_sum_of_two_neighbours() -> None:
    widths = (3, 5, 2, 9, 4, 1)

    def chain(x: jax.Array) -> jax.Array:
        for width in widths[1:]:
            x = nn.relu(Pointwise(width)(x))
        return x

    assert kernels(chain).peak() == PIXELS * max(np.add(widths[1:], widths[:-1]))


def test_a_residual_block_holds_its_input() -> None:
    def block(x: jax.Array) -> jax.Array:
        return x + Pointwise(3)(Pointwise(7)(x))

    def without(x: jax.Array) -> jax.Array:
        return Pointwise(3)(Pointwise(7)(x))

    assert kernels(without).peak() == PIXELS * (3 + 7)
    assert kernels(block).peak() == PIXELS * (3 + 7 + 3)


def test_a_network_without_kernels_holds_its_images() -> None:
    found = kernels(nn.relu)
    assert found.kernels == ()
    assert found.peak() == 3 * PIXELS


def test_loops_are_one_sentence(sentence: Any) -> None:
    with sentence("loops", "scan"):
        kernels(lambda x: jax.lax.scan(lambda carry, row: (carry, row * 2), 0.0, x)[1])


SMALL = {"classes": 3, "channels": 4, "cells": 3, "nodes": 2}
SPACES = {
    "darts": darts.space(**SMALL),
    "rdarts": rdarts.space(**SMALL, subset="S4"),
    "nasbench201": nasbench201.space(classes=3, channels=2, cells=1),
    "hypercuboid": hypercuboid.space(classes=3, channels=2, widths=2, layers=1, head_channels=4),
}


@pytest.mark.parametrize("name", SPACES)
def test_multiply_adds_are_those_of_the_workload(name: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(3):
        own = SPACES[name].build(random_genotype(SPACES[name], rng), searched=True)
        found = program(own, (8, 12, 3))
        assert sum(kernel.macs for kernel in found.kernels) == own.workload((8, 12, 3)).macs
        assert found.sizes[found.outputs[0]] == 3


def test_published_network() -> None:
    found = program(darts.build(darts.published()["DARTS_V2"], classes=10), (32, 32, 3))
    kinds = Counter(kernel.kind for kernel in found.kernels)
    # 20 cells of 4 nodes with two edges each; a reduction of stride 2 before each cell that follows one.
    assert kinds["join"] == 20 * 4
    assert sum(kernel.macs for kernel in found.kernels) == 528_359_040
    # Of the parameters, the kernels read all but batch norms and the bias of the classifier.
    norms = 3_349_342 - 10 - sum(kernel.weights for kernel in found.kernels)
    assert 0 < norms < 0.03 * 3_349_342
