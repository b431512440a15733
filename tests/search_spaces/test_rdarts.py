"""The reduced spaces: published operation lists, parameter counts, and S1 as a restriction of the DARTS supernet."""

import math
from collections import Counter
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.macs import count_macs
from dnas.relaxations import gdas, masked, softmax
from dnas.selection import top_edges
from dnas.shrinking import restricted
from dnas.types import Paths, Variables
from search_spaces import darts, rdarts

SHAPE = (2, 8, 8, 3)
SMALL: dict[str, Any] = {"classes": 3, "channels": 2, "cells": 3, "nodes": 2}


def size(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def test_s1_offers_each_edge_two_operations_as_often_as_published() -> None:
    table = rdarts.offered("S1")
    assert {name: len(rows) for name, rows in table.items()} == {"normal": 14, "reduce": 14}
    assert all(len(set(own)) == 2 for rows in table.values() for own in rows)
    counts = {name: Counter(frozenset(own) for own in rows) for name, rows in table.items()}
    skip, most, mean = "skip_connect", "max_pool_3x3", "avg_pool_3x3"
    sep3, dil3, dil5 = "sep_conv_3x3", "dil_conv_3x3", "dil_conv_5x5"
    assert counts["normal"] == {
        frozenset({skip, dil3}): 4,
        frozenset({skip, dil5}): 2,
        frozenset({skip, sep3}): 4,
        frozenset({skip, most}): 2,
        frozenset({dil3, dil5}): 2,
    }
    assert counts["reduce"] == {
        frozenset({most, mean}): 6,
        frozenset({most, dil3}): 1,
        frozenset({most, sep3}): 1,
        frozenset({skip, dil3}): 1,
        frozenset({skip, dil5}): 5,
    }
    assert table["normal"][3] == (skip, sep3)
    assert table["normal"][10] == (most, skip)
    assert table["reduce"][1] == (most, dil3)
    assert table["reduce"][6] == (most, sep3)


@pytest.mark.parametrize(
    ("subset", "ops"),
    [
        ("S2", ("skip_connect", "sep_conv_3x3")),
        ("S3", ("none", "skip_connect", "sep_conv_3x3")),
        ("S4", ("noise", "sep_conv_3x3")),
        ("S5", tuple(op for op in darts.OPS if op != "none")),
    ],
)
def test_the_other_subsets_offer_all_edges_the_same(subset: str, ops: tuple[str, ...]) -> None:
    assert rdarts.offered(subset) == {"normal": (ops,) * 14, "reduce": (ops,) * 14}
    space = rdarts.space(classes=10, subset=subset)
    assert {group.ops for group in space.spec.values()} == {ops}
    assert all(mask.all() for mask in rdarts.allowed(subset).values())


@pytest.mark.parametrize("nodes", [1, 2, 3, 4])
def test_masks_say_what_is_offered(nodes: int) -> None:
    spec = rdarts.space(classes=3, subset="S1", nodes=nodes).spec
    masks, table = rdarts.allowed("S1", nodes), rdarts.offered("S1", nodes)
    for name, group in spec.items():
        assert masks[name].shape == (group.edges, len(group.ops))
        named = [{op for op, own in zip(group.ops, row, strict=True) if own} for row in masks[name]]
        assert named == [set(own) for own in table[name]]
        assert table[name] == rdarts.offered("S1")[name][: group.edges]


def convolution(op: str, channels: int, stride: int) -> int:
    """Count an operation's weights: depthwise and 1x1 kernels, twice for a separable convolution; no batch norm."""
    side = {"sep_conv_3x3": 3, "sep_conv_5x5": 5, "dil_conv_3x3": 3, "dil_conv_5x5": 5}.get(op)
    if side:
        return (2 if op.startswith("sep") else 1) * (side * side * channels + channels * channels)
    return channels * channels if op == "skip_connect" and stride == 2 else 0


def supernet_parameters(ops: tuple[str, ...], classes: int, channels: int, cells: int) -> int:
    """Count the DARTS supernet of 4 nodes with these operations on all of its 14 edges."""
    stem = 3 * channels
    total = 27 * stem + 2 * stem
    before, last = stem, stem
    for index in range(cells):
        reduction = index in (cells // 3, 2 * cells // 3)
        channels *= 2 if reduction else 1
        total += (before + last) * channels
        # Two inputs lead to each of four nodes, and the nodes to each other by six edges.
        total += sum(
            8 * convolution(op, channels, 2 if reduction else 1) + 6 * convolution(op, channels, 1) for op in ops
        )
        before, last = last, 4 * channels
    return total + (last + 1) * classes


@pytest.mark.parametrize("subset", rdarts.SUBSETS)
def test_parameters_of_the_supernet(subset: str) -> None:
    space = rdarts.space(classes=10, subset=subset)
    variables = jax.eval_shape(space.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32))
    assert size(variables.params) == supernet_parameters(rdarts.ops(subset), 10, 16, 8)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    if subset == "S5":
        # The published number of the DARTS supernet, of which `none` has no part.
        assert size(variables.params) == 1_930_618


def test_s1_is_the_darts_supernet_with_masked_weights(filled: Any) -> None:
    space = rdarts.space(**SMALL, subset="S1")
    whole = darts.space(**SMALL, ops=rdarts.ops("S1"))
    variables = filled(space.init, SHAPE)
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.normal(size=SHAPE), jnp.float32)
    weights = {name: rng.random((5, 6)).astype(np.float32) for name in space.spec}
    masks = rdarts.allowed("S1", 2)
    cut = {name: np.where(masks[name], rows, 0) for name, rows in weights.items()}

    expected, after = jax.jit(lambda v, w, x: whole.apply(v, w, x, train=True))(variables, cut, x)
    # The weights of what an edge does not offer are of no effect.
    logits, stats = jax.jit(lambda v, w, x: space.apply(v, w, x, train=True))(variables, weights, x)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5 * float(np.abs(expected).max()))
    assert not np.allclose(expected, 0.0)

    genotype = top_edges(space, cut)
    kept = [space.inherit(genotype, Variables(variables.params, tree)).stats for tree in (stats, after)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), *kept)


def test_s1_computes_two_operations_on_an_edge() -> None:
    def macs(space: Any) -> int:
        x = jax.ShapeDtypeStruct(SHAPE, jnp.float32)
        variables = jax.eval_shape(space.init, jax.random.key(0), x)
        weights = {name: jnp.ones((group.edges, len(group.ops))) for name, group in space.spec.items()}
        return count_macs(lambda v, x: space.apply(v, weights, x, train=True)[0], variables, x)

    # The count takes the costlier branch, a 3x3 separable convolution, for both; six would cost more than two of it.
    two = macs(rdarts.space(**SMALL, subset="S1"))
    assert macs(rdarts.space(**SMALL, subset="S2")) < two < macs(darts.space(**SMALL, ops=rdarts.ops("S1")))


def test_restriction_of_all_weights_and_of_sampled_paths() -> None:
    masks = rdarts.allowed("S1")
    rows = jax.random.uniform(jax.random.key(0), (14, 6)) + 0.1

    def dense(paths: Any) -> np.ndarray:
        present = jax.nn.one_hot(paths.active, 6).sum(axis=1)
        assert int(present.max()) == 1
        return np.asarray(paths.weights * present)

    got = restricted({"normal": rows}, masks)["normal"]
    assert got.active.shape == (14, 2)
    np.testing.assert_array_equal(dense(got), np.where(masks["normal"], rows, 0))

    for count in (1, 2, 4):
        active = jnp.argsort(jax.random.uniform(jax.random.key(count), (14, 6)))[:, :count].astype(jnp.int32)
        got = restricted({"normal": Paths(rows, active)}, masks)["normal"]
        assert got.active.shape == (14, min(count, 2))
        sampled = np.asarray(jax.nn.one_hot(active, 6).sum(axis=1), bool)
        np.testing.assert_array_equal(dense(got), np.where(masks["normal"] & sampled, rows, 0))

    grads = jax.grad(lambda rows: restricted({"normal": rows}, masks)["normal"].weights.sum())(rows)
    np.testing.assert_array_equal(grads, masks["normal"])


@pytest.mark.parametrize("relaxation", [softmax, gdas])
def test_masked_relaxations_keep_what_is_offered(relaxation: Any) -> None:
    space, masks = rdarts.space(classes=3, subset="S1"), rdarts.allowed("S1")
    mixing = masked(relaxation(), masks)
    alpha, state = mixing.init(jax.random.key(0), space.spec)
    weights = mixing.expected(alpha, state)
    genotype = top_edges(space, jax.device_get(weights))
    assert genotype.space == "rdarts"
    rdarts.check_genotype(genotype)
    rdarts.check_offered(genotype, "S1", 4)
    for name, rows in restricted(mixing.weights(jax.random.key(1), alpha, state), masks).items():
        columns = np.asarray(rows.active)
        # Each edge's share is that of its two operations alone, and what is drawn is one of them.
        assert np.take_along_axis(masks[name], columns, axis=1).all()
        np.testing.assert_allclose(np.take_along_axis(np.asarray(rows.weights), columns, 1).sum(axis=1), 1, rtol=1e-5)


def test_a_derived_network_of_each_subset_can_be_built() -> None:
    x = jax.ShapeDtypeStruct(SHAPE, jnp.float32)
    for subset in rdarts.SUBSETS:
        space = rdarts.space(**SMALL, subset=subset)
        masks = rdarts.allowed(subset, 2)
        rng = np.random.default_rng(2)
        genotype = top_edges(space, {name: rng.random(mask.shape) * mask for name, mask in masks.items()})  # type: ignore[misc]
        network = space.build(genotype, searched=True)
        own = jax.eval_shape(network.init, jax.random.key(0), x)
        variables = jax.eval_shape(space.init, jax.random.key(0), x)
        inherited = jax.eval_shape(partial(space.inherit, genotype), variables)
        assert jax.tree.map(jnp.shape, inherited) == jax.tree.map(jnp.shape, own)
        assert space.rebuild(channels=4).name == "rdarts"
        assert space.rebuild(channels=4).spec == space.spec


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"subset": "S6"}, ["unknown subset 'S6'", "S1, S2, S3, S4, S5"]),
        ({"subset": "s1"}, ["unknown subset 's1'", "S1"]),
        ({"subset": "S1", "nodes": 5}, ["space.nodes=5", "4 nodes", "4 or fewer"]),
        ({"cells": 2}, ["cells", "at least 3", "got 2"]),
        ({"nodes": 0}, ["nodes", "at least 1", "got 0"]),
        ({"subset": "S1", "nodes": 0}, ["nodes", "at least 1", "got 0"]),
    ],
)
def test_bad_settings_get_one_sentence(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        rdarts.space(**{"classes": 10, **settings})
    text = str(error.value)
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_s1_refuses_an_operation_that_an_edge_does_not_offer() -> None:
    space = rdarts.space(**SMALL, subset="S1")
    good = Edge("skip_connect", 0)
    reduce = Cell(((Edge("max_pool_3x3", 0), Edge("max_pool_3x3", 1)), (Edge("max_pool_3x3", 0),)), (2, 3))
    normal = Cell(((good, Edge("sep_conv_3x3", 1)), (good,)), (2, 3))
    genotype = Genotype("rdarts", (("normal", normal), ("reduce", reduce)))
    for use in (space.build, lambda genotype: space.inherit(genotype, Variables({}, {}))):
        with pytest.raises(UserError) as error:
            use(genotype)
        text = str(error.value)
        for word in (
            "normal cell, node 0",
            "skip_connect or dil_conv_5x5",
            "state 1",
            "got sep_conv_3x3",
            "--space darts",
        ):
            assert word in text
    rdarts.build(genotype, classes=3)
