"""Laws of random DARTS spaces; everything is traced, nothing computed."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dnas.nn.operations import names
from dnas.relaxations.softmax import softmax
from dnas.selection import one_hot, random_genotype, top_edges
from dnas.types import SearchSpace
from search_spaces import darts


@st.composite
def spaces(draw: st.DrawFn, most: int) -> tuple[SearchSpace, dict[str, Any]]:
    """Draw a space, and the arguments that it was made with; every operation may be a candidate."""
    ops = draw(st.lists(st.sampled_from(names()), unique=True, min_size=1, max_size=4))
    if ops == ["none"]:
        ops = ["none", "skip_connect"]
    arguments = {
        "classes": draw(st.integers(2, 12)),
        "channels": draw(st.integers(2, 7)),
        "cells": draw(st.integers(3, 4)),
        "nodes": draw(st.integers(1, most)),
        "ops": tuple(ops),
        "stem_multiplier": draw(st.integers(1, 3)),
    }
    return darts.space(**arguments), arguments


@settings(max_examples=25, deadline=None)
@given(spaces(most=6), st.integers(0, 2**31 - 1))
def test_alpha_and_genotypes_fit_the_space(drawn: tuple[SearchSpace, dict[str, Any]], seed: int) -> None:
    space, arguments = drawn
    nodes, ops = arguments["nodes"], arguments["ops"]
    alpha, _ = jax.eval_shape(lambda key: softmax().init(key, space.spec), jax.random.key(0))
    assert {name: rows.shape for name, rows in alpha.items()} == {
        name: (nodes * (nodes + 3) // 2, len(ops)) for name in ("normal", "reduce")
    }
    weights = {name: np.random.default_rng(seed).random(rows.shape) for name, rows in alpha.items()}
    genotype = top_edges(space, weights)
    darts.check_genotype(genotype)
    for _, cell in genotype.cells:
        assert cell.concat == tuple(range(2, nodes + 2))
        assert len(cell.nodes) == nodes
        for kept in cell.nodes:
            assert len({edge.source for edge in kept}) == len(kept) == 2
            assert {edge.op for edge in kept} <= set(ops) - {"none"}
    back = top_edges(space, one_hot(space.spec, genotype))
    for name, cell in genotype.cells:
        assert [set(node) for node in back[name].nodes] == [set(node) for node in cell.nodes]


@settings(max_examples=6, deadline=None)
@given(
    spaces(most=2), st.integers(1, 3), st.sampled_from([(4, 8), (8, 8), (12, 4)]), st.integers(1, 4), st.integers(0, 99)
)
def test_networks_fit_each_other(
    drawn: tuple[SearchSpace, dict[str, Any]], batch: int, size: tuple[int, int], depth: int, seed: int
) -> None:
    space, arguments = drawn
    x = jnp.zeros((batch, *size, depth))
    space.check(x.shape[1:])
    variables = jax.eval_shape(space.init, jax.random.key(0), x)
    weights = {name: jnp.zeros((group.edges, len(group.ops))) for name, group in space.spec.items()}
    logits, stats = jax.eval_shape(lambda v, x: space.apply(v, weights, x, train=True), variables, x)
    assert (logits.shape, logits.dtype) == ((batch, arguments["classes"]), jnp.float32)
    chex.assert_trees_all_equal_shapes_and_dtypes(stats, variables.stats)

    genotype = random_genotype(space, np.random.default_rng(seed))
    network = space.build(genotype, searched=True)
    own = jax.eval_shape(network.init, jax.random.key(0), x)
    inherited = jax.eval_shape(lambda v: space.inherit(genotype, v), variables)
    chex.assert_trees_all_equal_shapes_and_dtypes(inherited, own)
    output, _ = jax.eval_shape(lambda v, x: network.apply(v, x, train=False), own, x)
    assert output.logits.shape == logits.shape
    assert network.workload((*size, depth)).params == sum(leaf.size for leaf in jax.tree.leaves(own.params))
