"""The mixed operation, and a loop over edges against the edges written out one after another."""

from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nn.loop import Edges
from dnas.nn.mixed import MixedEdges, MixedOp
from dnas.nn.operations import operation

OPS = ("none", "avg_pool_3x3", "skip_connect", "dil_conv_3x3")
SHAPE = (2, 4, 6, 3)


def loop(stride: int, recompute: bool = True) -> MixedEdges:
    """A loop over edges; with stride 2 it reads from buffers of twice the size."""
    return MixedEdges(OPS, SHAPE[-1], stride, recompute=recompute)


def joined(stride: int) -> tuple[jax.Array, jax.Array | None, list[tuple[int, int]]]:
    """States, sources and the pairs that edges join; with stride 1 the third edge reads what the first two wrote."""
    wide = (SHAPE[0], 2 * SHAPE[1], 2 * SHAPE[2], SHAPE[3])
    sources = draw(2, *wide) if stride == 2 else None
    return draw(4, *SHAPE), sources, [(0, 2), (1, 2), (2, 3)] if stride == 1 else [(0, 2), (1, 2), (1, 3)]


def along(pairs: list[tuple[int, int]], weights: jax.Array) -> Edges:
    return Edges(jnp.array([source for source, _ in pairs]), jnp.array([target for _, target in pairs]), weights)


def draw(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("stride", [1, 2])
def test_mixture_is_the_weighted_sum_of_its_operations(stride: int) -> None:
    x, weights = draw(*SHAPE), jnp.array([0.4, 0.1, 0.3, 0.2])
    module = MixedOp(OPS, SHAPE[-1], stride)
    variables = module.init(jax.random.key(0), x, weights, True)
    got, _ = module.apply(variables, x, weights, True, mutable=["batch_stats"])
    expected = np.zeros(got.shape)
    for weight, name in zip(weights, OPS, strict=True):
        own = {collection: tree[name] for collection, tree in variables.items() if name in tree}
        op = operation(name)(SHAPE[-1], stride, affine=False, pool_norm=True)
        expected += np.asarray(weight * op.apply(own, x, True, mutable=["batch_stats"])[0])
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    # The zero operation has neither variables nor a part in the sum.
    assert not any("none" in tree for tree in variables.values())


@pytest.mark.parametrize("recompute", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_loop_equals_edges_in_order(stride: int, recompute: bool) -> None:
    states, sources, pairs = joined(stride)
    weights = jax.nn.softmax(draw(3, len(OPS)))
    variables = loop(stride).init(jax.random.key(0), states, sources, along(pairs, weights), True)
    params, stats = variables["params"], variables["batch_stats"]
    mixed = MixedOp(OPS, SHAPE[-1], stride)

    def looped(params: Any, weights: jax.Array, states: jax.Array, sources: jax.Array | None) -> Any:
        filled, updated = loop(stride, recompute).apply(
            {"params": params, "batch_stats": stats},
            states,
            sources,
            along(pairs, weights),
            True,
            mutable=["batch_stats"],
        )
        return jnp.sin(filled).sum(), (filled, updated["batch_stats"]["op"])

    def in_order(
        params: Any, weights: jax.Array, states: jax.Array, sources: jax.Array | None
    ) -> tuple[jax.Array, Any]:
        after = []
        for row, (source, target) in enumerate(pairs):
            own = jax.tree.map(lambda leaf, row=row: leaf[row], {"params": params["op"], "batch_stats": stats["op"]})
            x = (states if sources is None else sources)[source]
            value, updated = mixed.apply(own, x, weights[row], True, mutable=["batch_stats"])
            states = states.at[target].add(value)
            after.append(updated["batch_stats"])
        return jnp.sin(states).sum(), (states, jax.tree.map(lambda *leaves: jnp.stack(leaves), *after))

    wanted = (0, 1, 2) if sources is None else (0, 1, 2, 3)
    values = [
        jax.jit(jax.value_and_grad(function, argnums=wanted, has_aux=True))(params, weights, states, sources)
        for function in (looped, in_order)
    ]
    chex.assert_trees_all_close(*values, rtol=1e-4, atol=1e-5)


def test_the_derivative_can_be_differentiated_again() -> None:
    states, _, pairs = joined(1)
    start = jax.nn.softmax(draw(3, len(OPS)))
    variables = loop(1).init(jax.random.key(0), states, None, along(pairs, start), True)
    mixed = MixedOp(OPS, SHAPE[-1])

    def looped(weights: jax.Array) -> jax.Array:
        edges = along(pairs, weights)
        return loop(1).apply(variables, states, None, edges, True, mutable=["batch_stats"])[0]

    def in_order(weights: jax.Array) -> jax.Array:
        filled = states
        for row, (source, target) in enumerate(pairs):
            own = jax.tree.map(lambda leaf, row=row: leaf[row], {kind: tree["op"] for kind, tree in variables.items()})
            value, _ = mixed.apply(own, filled[source], weights[row], True, mutable=["batch_stats"])
            filled = filled.at[target].add(value)
        return filled

    def steep(function: Any, weights: jax.Array) -> jax.Array:
        return jnp.square(jax.grad(lambda weights: jnp.sin(function(weights)).sum())(weights)).sum()

    got, expected = (jax.jit(jax.grad(partial(steep, function)))(start) for function in (looped, in_order))
    assert float(jnp.abs(expected).max()) > 1
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-2)


def test_evaluation_leaves_statistics_alone() -> None:
    states, _, pairs = joined(1)
    edges = along(pairs, jax.nn.softmax(draw(3, len(OPS))))
    variables = loop(1).init(jax.random.key(0), states, None, edges, True)
    filled, updated = loop(1).apply(variables, states, None, edges, False, mutable=["batch_stats"])
    chex.assert_trees_all_equal(updated["batch_stats"], variables["batch_stats"])
    assert filled.shape == states.shape


def test_edges_of_a_loop_start_from_different_weights_of_their_own_range() -> None:
    edges = Edges(jnp.zeros(3, int), jnp.full(3, 2), jnp.ones((3, len(OPS))))
    params = loop(1).init(jax.random.key(0), draw(4, *SHAPE), None, edges, True)["params"]["op"]["dil_conv_3x3"]
    for layer, fan_in in (("depthwise", 9), ("pointwise", SHAPE[-1])):
        kernels = np.asarray(params[layer]["kernel"])
        assert len(kernels) == 3
        assert len({kernel.tobytes() for kernel in kernels}) == 3
        assert 0.7 * fan_in**-0.5 < np.abs(kernels).max() <= fan_in**-0.5
