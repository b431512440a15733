"""The mixed operation, and loops over edges against the edges written out one after another."""

from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nn.mixed import MixedEdges, MixedOp, Mixture
from dnas.nn.operations import operation
from dnas.types import Paths

OPS = ("none", "avg_pool_3x3", "skip_connect", "dil_conv_3x3")
SHAPE = (2, 4, 6, 4)
# With stride 1 two sources have two edges and one has one, and the last reads what others wrote.
PAIRS = {1: ((2, 0), (3, 0), (2, 1), (3, 1), (3, 2)), 2: ((2, 0), (2, 1), (3, 1))}


def mixture(stride: int, parts: int = 1) -> Mixture:
    return Mixture(OPS, SHAPE[-1], stride, parts=parts)


def loop(stride: int, recompute: bool = True, parts: int = 1) -> MixedEdges:
    """Loops over edges; with stride 2 they read from buffers of twice the size."""
    return MixedEdges(PAIRS[stride], mixture(stride, parts), recompute)


def inputs(stride: int) -> tuple[jax.Array, jax.Array | None, jax.Array]:
    """States, sources and operation weights."""
    wide = (SHAPE[0], 2 * SHAPE[1], 2 * SHAPE[2], SHAPE[3])
    return draw(4, *SHAPE), draw(2, *wide) if stride == 2 else None, jax.nn.softmax(draw(len(PAIRS[stride]), len(OPS)))


def draw(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), jnp.float32)


def variables_of(stride: int, parts: int = 1) -> Any:
    return loop(stride, parts=parts).init(jax.random.key(0), *inputs(stride), True)


def in_order(
    stride: int, parts: int, variables: Any, weights: jax.Array, states: jax.Array, sources: jax.Array | None
) -> tuple[jax.Array, Any]:
    """Return the filled buffer and new statistics of edges that run one after another."""
    mixed, after = MixedOp(mixture(stride, parts)), []
    for row, (target, source) in enumerate(PAIRS[stride]):
        own = jax.tree.map(lambda leaf, row=row: leaf[row], {kind: tree["op"] for kind, tree in variables.items()})
        x = (states if sources is None else sources)[source]
        value, updated = mixed.apply(own, x, weights[row], True, mutable=["batch_stats"])
        states = states.at[target].add(value)
        after.append(updated["batch_stats"])
    return states, jax.tree.map(lambda *leaves: jnp.stack(leaves), *after)


@pytest.mark.parametrize("stride", [1, 2])
def test_mixture_is_the_weighted_sum_of_its_operations(stride: int) -> None:
    x, weights = draw(*SHAPE), jnp.array([0.4, 0.1, 0.3, 0.2])
    module = MixedOp(mixture(stride))
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


@pytest.mark.parametrize(
    ("stride", "recompute", "parts"), [(1, True, 1), (2, True, 1), (1, False, 1), (1, True, 2), (2, True, 2)]
)
def test_loop_equals_edges_in_order(stride: int, recompute: bool, parts: int) -> None:
    states, sources, weights = inputs(stride)
    variables = variables_of(stride, parts)

    def looped(params: Any, weights: jax.Array, states: jax.Array, sources: jax.Array | None) -> Any:
        own = {**variables, "params": params}
        module = loop(stride, recompute, parts)
        filled, updated = module.apply(own, states, sources, weights, True, mutable=["batch_stats"])
        return jnp.sin(filled).sum(), (filled, updated["batch_stats"]["op"])

    def one_by_one(params: Any, weights: jax.Array, states: jax.Array, sources: jax.Array | None) -> Any:
        filled, stats = in_order(stride, parts, {**variables, "params": params}, weights, states, sources)
        return jnp.sin(filled).sum(), (filled, stats)

    wanted = (0, 1, 2) if sources is None else (0, 1, 2, 3)
    values = [
        jax.jit(jax.value_and_grad(function, argnums=wanted, has_aux=True))(
            variables["params"], weights, states, sources
        )
        for function in (looped, one_by_one)
    ]
    chex.assert_trees_all_close(*values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("stride", "parts"), [(1, 1), (2, 2)])
def test_active_paths_are_a_mixture_without_the_others(stride: int, parts: int) -> None:
    states, sources, weights = inputs(stride)
    variables = variables_of(stride, parts)
    # All pairs of operations, with the zero operation and the pool among them.
    active = jnp.array([[0, 3], [3, 1], [2, 0], [1, 2], [2, 3]])[: len(weights)]
    there = jax.nn.one_hot(active, len(OPS)).sum(axis=1)

    def value(params: Any, weights: jax.Array, as_paths: bool) -> Any:
        mixed = Paths(weights, active) if as_paths else weights * there
        filled, updated = loop(stride, parts=parts).apply(
            {**variables, "params": params}, states, sources, mixed, True, mutable=["batch_stats"]
        )
        return jnp.sin(filled).sum(), (filled, updated["batch_stats"]["op"])

    gradient = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True), static_argnums=2)
    (loss, (filled, stats)), got = gradient(variables["params"], weights, True)
    (same_loss, (same_filled, all_stats)), expected = gradient(variables["params"], weights, False)
    chex.assert_trees_all_close((loss, filled, got), (same_loss, same_filled, expected), rtol=1e-4, atol=1e-5)
    assert (np.asarray(got[1])[np.asarray(there) == 0] == 0).all()
    # An operation that is not computed keeps its statistics.
    for name in ("avg_pool_3x3", "dil_conv_3x3"):
        mean, everywhere = (tree[name]["norm"]["bn"]["mean"] for tree in (stats, all_stats))
        ran = np.asarray(there)[:, OPS.index(name)] > 0
        np.testing.assert_allclose(mean[ran], everywhere[ran], rtol=1e-5, atol=1e-6)
        assert (np.asarray(mean)[~ran] == 0).all()


def test_the_derivative_can_be_differentiated_again() -> None:
    states, _, start = inputs(1)
    variables = variables_of(1)

    def looped(weights: jax.Array) -> jax.Array:
        return loop(1).apply(variables, states, None, weights, True, mutable=["batch_stats"])[0]

    def steep(function: Any, weights: jax.Array) -> jax.Array:
        return jnp.square(jax.grad(lambda weights: jnp.sin(function(weights)).sum())(weights)).sum()

    one_by_one = lambda weights: in_order(1, 1, variables, weights, states, None)[0]  # noqa: E731
    got, expected = (jax.jit(jax.grad(partial(steep, function)))(start) for function in (looped, one_by_one))
    assert float(jnp.abs(expected).max()) > 1
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-2)


def test_evaluation_leaves_statistics_alone() -> None:
    states, _, weights = inputs(1)
    variables = variables_of(1)
    filled, updated = loop(1).apply(variables, states, None, weights, False, mutable=["batch_stats"])
    chex.assert_trees_all_equal(updated["batch_stats"], variables["batch_stats"])
    assert filled.shape == states.shape


def test_edges_of_a_loop_start_from_different_weights_of_their_own_range() -> None:
    params = variables_of(1)["params"]["op"]["dil_conv_3x3"]
    for layer, fan_in in (("depthwise", 9), ("pointwise", SHAPE[-1])):
        kernels = np.asarray(params[layer]["kernel"])
        assert len(kernels) == len(PAIRS[1])
        assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)
        assert 0.7 * fan_in**-0.5 < np.abs(kernels).max() <= fan_in**-0.5


def test_equal_cells_share_one_trace() -> None:
    seen = []

    class Spy(Mixture):
        def candidates(self) -> Any:
            seen.append(1)
            return super().candidates()

    states, _, weights = inputs(1)
    variables = variables_of(1)

    def twice(weights: jax.Array) -> jax.Array:
        filled = states
        for _ in range(2):
            module = MixedEdges(PAIRS[1], Spy(OPS, SHAPE[-1], 1))
            filled = module.apply(variables, filled, None, weights, True, mutable=["batch_stats"])[0]
        return filled

    jax.eval_shape(lambda weights: twice(weights), weights)  # noqa: PLW0108
    once = len(seen)
    jax.eval_shape(lambda weights: twice(weights), weights)  # noqa: PLW0108
    assert len(seen) == once
