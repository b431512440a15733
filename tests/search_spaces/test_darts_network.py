"""The derived network's drop path and auxiliary head, and the shapes and types of both networks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.genotype import Cell, Edge, Genotype
from dnas.nn.ends import Head, Stem
from dnas.selection import random_genotype
from dnas.types import Network, Variables
from search_spaces import darts
from search_spaces.darts.cells import CellPlan
from search_spaces.darts.network import DROP_PATH, DerivedCell

NORMAL_CELL = CellPlan(group="normal", channels=3, stride=1, reduced_before=False)


def architecture(*nodes: tuple[tuple[str, int], ...]) -> Genotype:
    """Return a genotype whose cells both have these nodes, all of them concatenated."""
    cell = Cell(tuple(tuple(Edge(*edge) for edge in node) for node in nodes), tuple(range(2, 2 + len(nodes))))
    return Genotype("darts", (("normal", cell), ("reduce", cell)))


def traced(network: Network, shape: tuple[int, ...], train: bool) -> Any:
    variables = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(shape))
    return jax.eval_shape(
        lambda v, x, key: network.apply(v, x, train=train, key=key, drop_path=0.3),
        variables,
        jnp.zeros(shape),
        jax.random.key(0),
    )


@pytest.mark.parametrize("rate", [0.2, 0.75])
def test_drop_path_zeroes_whole_samples_and_keeps_the_mean(rate: float) -> None:
    cell = DerivedCell(architecture((("skip_connect", 0),)), NORMAL_CELL)
    x = jnp.ones((20_000, 2, 1, 3))
    y = np.asarray(cell.apply({}, x, jnp.float32(rate), method="drop", rngs={DROP_PATH: jax.random.key(0)}))
    samples = y.reshape(len(y), -1)
    assert np.array_equal(samples, np.repeat(samples[:, :1], 6, axis=1))
    np.testing.assert_allclose(np.unique(samples), [0.0, 1 / (1 - rate)], rtol=1e-6)
    standard_error = (rate / (1 - rate) / len(x)) ** 0.5
    assert abs(samples[:, 0].mean() - 1.0) < 4 * standard_error


@pytest.fixture(scope="module")
def node() -> Any:
    """Return a function that runs one normal cell whose only node has this one operation."""

    def run(op: str, rate: float, train: bool = True, seed: int = 1) -> np.ndarray:
        cell = DerivedCell(architecture(((op, 1),)), NORMAL_CELL)
        x = jnp.asarray(np.random.default_rng(0).normal(size=(32, 4, 4, 3)), jnp.float32)
        keys = {"params": jax.random.key(0), DROP_PATH: jax.random.key(seed)}
        variables = jax.jit(lambda: cell.init(keys, x, x, False))()
        apply = jax.jit(
            lambda v, rate, key: cell.apply(v, x, x, train, rate, rngs={DROP_PATH: key}, mutable=["batch_stats"])[0]
        )
        return np.asarray(apply(variables, rate, keys[DROP_PATH]))

    return run


def test_drop_path_drops_operations_in_training_only(node: Any) -> None:
    full, dropped = node("dil_conv_3x3", 0.0), node("dil_conv_3x3", 0.5)
    kept = np.abs(dropped).reshape(len(dropped), -1).max(axis=1) > 0
    assert 4 < kept.sum() < 28
    np.testing.assert_allclose(dropped[kept], 2 * full[kept], rtol=1e-5)
    assert not np.array_equal(dropped, node("dil_conv_3x3", 0.5, seed=2))
    np.testing.assert_array_equal(node("dil_conv_3x3", 0.5, train=False), node("dil_conv_3x3", 0.0, train=False))


def test_drop_path_never_drops_an_identity_but_drops_a_pool(node: Any) -> None:
    np.testing.assert_array_equal(node("skip_connect", 0.9), node("skip_connect", 0.0))
    assert np.abs(node("max_pool_3x3", 0.9)).reshape(32, -1).max(axis=1).min() == 0.0


def test_drop_path_drops_a_reducing_skip() -> None:
    reducing = NORMAL_CELL._replace(group="reduce", stride=2)
    cell = DerivedCell(architecture((("skip_connect", 1),)), reducing)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(32, 4, 4, 3)), jnp.float32)
    keys = {"params": jax.random.key(0), DROP_PATH: jax.random.key(1)}
    y = jax.jit(lambda: cell.init_with_output(keys, x, x, True, jnp.float32(0.5))[0])()
    dropped = np.abs(y).reshape(32, -1).max(axis=1) == 0.0
    assert 4 < dropped.sum() < 28


def test_auxiliary_head_stands_in_training_only() -> None:
    genotype = darts.published()["DARTS_V2"]
    settings = {"classes": 7, "channels": 4, "cells": 3}
    for auxiliary in (True, False):
        network = darts.build(genotype, **settings, auxiliary=auxiliary)
        output, _ = traced(network, (2, 32, 32, 3), train=True)
        assert output.logits.shape == (2, 7)
        assert (output.auxiliary.shape if auxiliary else output.auxiliary) == ((2, 7) if auxiliary else None)
        output, _ = traced(network, (2, 32, 32, 3), train=False)
        assert (output.logits.shape, output.auxiliary) == ((2, 7), None)


@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (3, 16, 8, 4), (1, 12, 20, 3), (2, 4, 4, 1)])
def test_images_of_other_sizes_and_channels(shape: tuple[int, ...]) -> None:
    space = darts.space(classes=4, channels=3, cells=4, nodes=1, ops=("none", "max_pool_3x3", "skip_connect"))
    space.check(shape[1:])
    variables = jax.eval_shape(space.init, jax.random.key(0), jnp.zeros(shape))
    weights = {name: jnp.zeros((group.edges, len(group.ops))) for name, group in space.spec.items()}
    for train in (True, False):
        logits, stats = jax.eval_shape(
            lambda v, x, t=train: space.apply(v, weights, x, train=t), variables, jnp.zeros(shape)
        )
        assert logits.shape == (shape[0], 4)
        assert jax.tree.structure(stats) == jax.tree.structure(variables.stats)
    network = space.build(random_genotype(space, np.random.default_rng(0)), searched=True)
    assert traced(network, shape, train=True)[0].logits.shape == (shape[0], 4)


def test_imagenet_stem() -> None:
    network = darts.build(darts.published()["DARTS_V2"], classes=9, channels=4, cells=3, stem="imagenet")
    output, _ = traced(network, (1, 224, 224, 3), train=True)
    assert output.logits.shape == output.auxiliary.shape == (1, 9)


def dtypes(tree: Any) -> set[Any]:
    return {leaf.dtype for leaf in jax.tree.leaves(tree)}


def test_bfloat16_computes_in_bfloat16_and_keeps_float32_variables(filled: Any) -> None:
    shape, ops = (4, 8, 8, 2), ("avg_pool_3x3", "max_pool_3x3", "skip_connect", "dil_conv_3x3")
    settings = {"classes": 3, "channels": 4, "cells": 3, "nodes": 1, "ops": ops}
    half, full = darts.space(**settings, dtype="bfloat16"), darts.space(**settings)
    variables = filled(half.init, shape)
    assert dtypes(variables) == {jnp.dtype("float32")}
    weights = {name: jnp.full((group.edges, len(ops)), 0.25) for name, group in half.spec.items()}
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
    traced_logits, stats = jax.eval_shape(lambda v, x: half.apply(v, weights, x, train=True), variables, x)
    assert dtypes((traced_logits, stats)) == {jnp.dtype("float32")}
    got = jax.jit(lambda v, x: half.apply(v, weights, x, train=False)[0])(variables, x)
    expected = jax.jit(lambda v, x: full.apply(v, weights, x, train=False)[0])(variables, x)
    assert not np.array_equal(got, expected)
    np.testing.assert_allclose(got, expected, atol=0.05 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize("op", ["avg_pool_3x3", "max_pool_3x3", "skip_connect", "sep_conv_3x3"])
@pytest.mark.parametrize("train", [True, False])
def test_bfloat16_derived_cell_gives_bfloat16(op: str, train: bool) -> None:
    cell = DerivedCell(architecture(((op, 0), (op, 1))), NORMAL_CELL, dtype=jnp.bfloat16)
    x = jnp.zeros((2, 4, 4, 3), jnp.bfloat16)
    keys = {"params": jax.random.key(0), DROP_PATH: jax.random.key(1)}
    output, variables = jax.eval_shape(lambda: cell.init_with_output(keys, x, x, train, jnp.float32(0.1)))
    assert output.dtype == jnp.bfloat16
    assert dtypes(variables) == {jnp.dtype("float32")}


def test_bfloat16_derived_network_keeps_float32_variables_and_logits() -> None:
    network = darts.build(
        darts.published()["DARTS_V1"], classes=3, channels=4, cells=3, auxiliary=True, dtype="bfloat16"
    )
    variables = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((2, 32, 32, 3)))
    assert isinstance(variables, Variables)
    assert dtypes(variables) | dtypes(traced(network, (2, 32, 32, 3), train=True)) == {jnp.dtype("float32")}


@pytest.mark.parametrize(("layer", "channels", "fan_in"), [(Head(200), 25, 25), (Stem(100), 3, 27)])
def test_head_and_stem_start_uniform_within_the_inverse_root_of_fan_in(layer: Any, channels: int, fan_in: int) -> None:
    x = jnp.zeros((1, 4, 4, channels))
    arguments = (x,) if isinstance(layer, Head) else (x, False)
    params = layer.init(jax.random.key(0), *arguments)["params"]
    (weights,) = [part for name, part in params.items() if name in ("dense", "conv")]
    assert set(weights) == ({"kernel", "bias"} if isinstance(layer, Head) else {"kernel"})
    for values in weights.values():
        assert 0.95 < np.abs(values).max() * fan_in**0.5 <= 1.0
