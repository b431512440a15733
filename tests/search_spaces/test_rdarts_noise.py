"""The operation of S4: independent standard normal noise, from a stream that is part of the statistics."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nn.mixed import MixedEdges, Mixture
from dnas.nn.operations import names, operation
from dnas.types import Paths

X = jnp.ones((4, 16, 16, 8))
PAIRS = ((1, 0), (2, 0), (2, 1))
STATES = jnp.zeros((3, 2, 4, 4, 2)).at[0].set(1.0)


def stream(seed: float = 0.5, count: float = 0.0) -> dict[str, Any]:
    return {"batch_stats": {"seed": jnp.float32(seed), "count": jnp.float32(count)}}


def draw(variables: dict[str, Any], x: jax.Array = X, stride: int = 1, train: bool = True) -> tuple[Any, Any]:
    values, updated = operation("noise")(x.shape[-1], stride).apply(variables, x, train, mutable=["batch_stats"])
    return np.asarray(values), updated["batch_stats"]


@pytest.mark.parametrize("stride", [1, 2])
def test_noise_is_standard_normal_and_does_not_see_its_input(stride: int) -> None:
    noise, _ = draw(stream(), stride=stride)
    assert noise.shape == (4, 16 // stride, 16 // stride, 8)
    # Within five standard errors; the variance of a squared normal number is 2.
    assert abs(noise.mean()) < 5 * noise.size**-0.5
    assert abs((noise**2).mean() - 1) < 5 * (2 / noise.size) ** 0.5
    np.testing.assert_array_equal(noise, draw(stream(), 7 * X, stride)[0])
    slope = jax.grad(lambda x: operation("noise")(8, stride).apply(stream(), x, False).sum())(X)
    np.testing.assert_array_equal(slope, 0)


def test_training_moves_the_stream_and_evaluation_does_not() -> None:
    first, after = draw(stream())
    assert (float(after["seed"]), float(after["count"])) == (0.5, 1.0)
    second, _ = draw({"batch_stats": after})
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 5 * first.size**-0.5
    np.testing.assert_array_equal(first, draw(stream())[0])
    still, same = draw(stream(), train=False)
    np.testing.assert_array_equal(still, first)
    assert float(same["count"]) == 0.0


def test_seeds_give_streams_of_their_own() -> None:
    seeds = [
        float(operation("noise")(8).init(jax.random.key(key), X, True)["batch_stats"]["seed"]) for key in range(20)
    ]
    assert len(set(seeds)) == 20
    draws = np.stack([draw(stream(seed))[0].ravel() for seed in (*seeds[:5], -1.5, 3.0)])
    others = np.corrcoef(draws) - np.eye(7)
    assert np.abs(others).max() < 5 * draws.shape[1] ** -0.5


def test_it_is_an_operation_without_parameters() -> None:
    assert "noise" in names()
    variables = jax.eval_shape(lambda: operation("noise")(8, dtype=jnp.bfloat16).init(jax.random.key(0), X, True))
    assert set(variables) == {"batch_stats"}
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert operation("noise")(8, dtype=jnp.bfloat16).apply(stream(), X, False).dtype == jnp.bfloat16


def cell(recompute: bool) -> MixedEdges:
    return MixedEdges(PAIRS, Mixture(("noise", "skip_connect"), 2), recompute)


def test_edges_of_a_supernet_draw_apart_and_the_derivative_sees_the_same_draw() -> None:
    variables = cell(True).init(jax.random.key(0), STATES, None, jnp.ones((3, 2)), True)
    seeds = np.asarray(variables["batch_stats"]["op"]["noise"]["seed"])
    assert len(set(seeds.tolist())) == 3
    weights = jnp.array([[0.5, 0.25], [2.0, 0.0], [0.0, 1.0]])

    def total(weights: Any, recompute: bool) -> tuple[jax.Array, Any]:
        states, updated = cell(recompute).apply(variables, STATES, None, weights, True, mutable=["batch_stats"])
        return states[2].sum(), (states, updated)

    (value, (states, updated)), slope = jax.value_and_grad(total, has_aux=True)(weights, True)
    (_, (plain, plainly)), plain_slope = jax.value_and_grad(total, has_aux=True)(weights, False)
    np.testing.assert_allclose(states, plain, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slope, plain_slope, rtol=1e-4, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, updated, plainly)
    np.testing.assert_array_equal(updated["batch_stats"]["op"]["noise"]["count"], 1)
    np.testing.assert_array_equal(updated["batch_stats"]["op"]["noise"]["seed"], seeds)

    noise = [draw(stream(seed), STATES[0])[0] for seed in seeds]
    first = 0.5 * noise[0] + 0.25
    np.testing.assert_allclose(states[2], 2.0 * noise[1] + first, rtol=1e-5, atol=1e-6)
    # Linear in each weight: the derivative is what the operation gave.
    np.testing.assert_allclose(slope[1], [noise[1].sum(), noise[1].size], rtol=1e-4)
    np.testing.assert_allclose(slope[2], [noise[2].sum(), first.sum()], rtol=1e-4)
    assert value == pytest.approx(float(states[2].sum()), rel=1e-5)

    path = Paths(weights, jnp.array([[0], [0], [1]], jnp.int32))
    _, (states, updated) = total(path, True)
    np.testing.assert_allclose(states[2], 2.0 * noise[1] + 0.5 * noise[0], rtol=1e-5, atol=1e-6)
    # An operation that is not computed draws nothing.
    np.testing.assert_array_equal(updated["batch_stats"]["op"]["noise"]["count"], [1, 1, 0])
