"""The mixed operation, and a loop over edges against the edges written out one after another."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nn.mixed import MixedOp, mixed_edges
from dnas.nn.operations import operation

OPS = ("none", "avg_pool_3x3", "skip_connect", "dil_conv_3x3")
SHAPE = (2, 4, 6, 3)


class Loop(nn.Module):
    """`mixed_edges` as a module of its own; with stride 2 it reads from buffers of twice the size."""

    stride: int

    @nn.compact
    def __call__(self, states: jax.Array, sources: jax.Array | None, edges: Any) -> jax.Array:
        return mixed_edges(
            states,
            sources,
            edges,
            ops=OPS,
            channels=SHAPE[-1],
            stride=self.stride,
            train=True,
            dtype=jnp.float32,
            name="loop",
        )


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


@pytest.mark.parametrize("stride", [1, 2])
def test_loop_equals_edges_in_order(stride: int) -> None:
    states, weights = draw(4, *SHAPE), jax.nn.softmax(draw(3, len(OPS)))
    wide = (SHAPE[0], 2 * SHAPE[1], 2 * SHAPE[2], SHAPE[3])
    sources = draw(2, *wide) if stride == 2 else None
    # The third edge reads what the first two wrote.
    pairs = [(0, 2), (1, 2), (2, 3)] if stride == 1 else [(0, 2), (1, 2), (1, 3)]
    edges = (jnp.array([source for source, _ in pairs]), jnp.array([target for _, target in pairs]), weights)
    loop = Loop(stride)
    variables = loop.init(jax.random.key(0), states, sources, edges)
    got, updated = loop.apply(variables, states, sources, edges, mutable=["batch_stats"])

    mixed = MixedOp(OPS, SHAPE[-1], stride)
    filled, stats = states, []
    for row, (source, target) in enumerate(pairs):
        own = jax.tree.map(lambda leaf, row=row: leaf[row], {k: v["loop"]["op"] for k, v in variables.items()})
        x = (filled if sources is None else sources)[source]
        value, after = mixed.apply(own, x, weights[row], True, mutable=["batch_stats"])
        filled = filled.at[target].add(value)
        stats.append(after["batch_stats"])
    np.testing.assert_allclose(got, filled, rtol=1e-5, atol=1e-5)
    expected = jax.tree.map(lambda *leaves: np.stack(leaves), *stats)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        updated["batch_stats"]["loop"]["op"],
        expected,
    )


def test_edges_of_a_loop_start_from_different_weights_of_their_own_range() -> None:
    edges = (jnp.zeros(3, int), jnp.full(3, 2), jnp.ones((3, len(OPS))))
    params = Loop(1).init(jax.random.key(0), draw(4, *SHAPE), None, edges)["params"]["loop"]["op"]["dil_conv_3x3"]
    for layer, fan_in in (("depthwise", 9), ("pointwise", SHAPE[-1])):
        kernels = np.asarray(params[layer]["kernel"])
        assert len(kernels) == 3
        assert len({kernel.tobytes() for kernel in kernels}) == 3
        assert 0.7 * fan_in**-0.5 < np.abs(kernels).max() <= fan_in**-0.5
