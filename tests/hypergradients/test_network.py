"""Estimates that unroll, on a smooth network in float64: against difference quotients and the published formula."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas.hypergradients.first_order import first_order
from dnas.hypergradients.k_step import k_step
from dnas.hypergradients.neumann import neumann
from dnas.hypergradients.unrolled import unrolled
from dnas.hypergradients.unrolled_fd import unrolled_fd
from dnas.optimizers import clipped_sgd

CLIPS = pytest.mark.parametrize("clip_norm", [5.0, 0.2], ids=["slack", "clipped"])


def written_out(case: Any, steps: int, xi: float = 1.0) -> Any:
    """Return the outer loss after some steps of the weights as a function of alpha, and nothing more."""

    def value(alpha: Any) -> jax.Array:
        params, opt = case.lower.params, case.lower.opt
        for _ in range(steps):
            grads = jax.grad(case.problem.inner, has_aux=True)(
                params, alpha, case.lower.stats, case.batches.train, jax.random.key(0)
            )[0]
            params, opt = case.problem.update(grads, opt, params)
        params = jax.tree.map(lambda old, new: (1 - xi) * old + xi * new, case.lower.params, params)
        return case.problem.outer(params, alpha, case.lower.stats, case.batches.valid, jax.random.key(0))[0]

    return jax.jit(value)


def quotients(value: Any, alpha: Any) -> np.ndarray:
    slopes = np.zeros(alpha["mix"].shape)
    for index in np.ndindex(*slopes.shape):
        up, down = ({"mix": alpha["mix"].at[index].add(side)} for side in (1e-5, -1e-5))
        slopes[index] = (value(up) - value(down)) / 2e-5
    return slopes


def distance(found: Any, expected: Any) -> float:
    return float(np.linalg.norm(found["mix"] - np.asarray(expected)) / np.linalg.norm(expected))


@CLIPS
def test_unrolled_is_the_slope_of_the_composite_function(network: Any, clip_norm: float) -> None:
    case = network(clip_norm)
    value = written_out(case, 1)
    estimate = case.estimate(unrolled())
    slopes = quotients(value, case.alpha)
    assert distance(estimate.grads, slopes) < 1e-7
    np.testing.assert_allclose(estimate.loss, value(case.alpha), rtol=1e-12)
    assert distance(case.estimate(first_order()).grads, slopes) > 0.03


@CLIPS
def test_k_step_is_the_slope_of_the_composite_function(network: Any, clip_norm: float) -> None:
    case = network(clip_norm)
    value = written_out(case, 3)
    estimate = case.estimate(k_step(3))
    assert distance(estimate.grads, quotients(value, case.alpha)) < 1e-7
    np.testing.assert_allclose(estimate.loss, value(case.alpha), rtol=1e-12)
    assert distance(case.estimate(k_step(1)).grads, case.estimate(unrolled()).grads["mix"]) < 1e-12


@CLIPS
def test_the_finite_difference_is_the_exact_estimate_to_a_thousandth(network: Any, clip_norm: float) -> None:
    case = network(clip_norm)
    exact = case.estimate(unrolled(0.5)).grads["mix"]
    errors = [distance(case.estimate(unrolled_fd(0.5, radius)).grads, exact) for radius in (0.01, 0.1)]
    assert errors[0] < 1e-3
    # Of second order in the radius.
    assert errors[1] / errors[0] == pytest.approx(100.0, rel=0.1)


@pytest.mark.parametrize("factory", [unrolled, unrolled_fd])
def test_no_step_is_first_order(network: Any, factory: Any) -> None:
    case = network(0.2)
    found, expected = case.estimate(factory(0.0)), case.estimate(first_order())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15), found, expected)


def test_the_published_formula_of_the_finite_difference(network: Any) -> None:
    case = network(0.2)
    rate, momentum, decay = 0.2, 0.9, 0.05
    params, alpha, stats = case.lower.params, case.alpha, case.lower.stats
    trace = optax.tree_utils.tree_get(case.lower.opt, "trace")

    def slopes(objective: Any, params: Any, batch: Any) -> Any:
        return jax.grad(objective, argnums=(0, 1), has_aux=True)(params, alpha, stats, batch, jax.random.key(0))[0]

    grads = slopes(case.problem.inner, params, case.batches.train)[0]
    virtual = jax.tree.map(lambda w, m, g: w - rate * (momentum * m + g + decay * w), params, trace, grads)
    v, d = slopes(case.problem.outer, virtual, case.batches.valid)
    epsilon = 0.01 / np.sqrt(sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(v)))

    def displaced(length: float) -> Any:
        moved = jax.tree.map(lambda w, direction: w + length * direction, params, v)
        return slopes(case.problem.inner, moved, case.batches.train)[1]["mix"]

    up, down = displaced(epsilon), displaced(-epsilon)
    expected = d["mix"] - rate * (up - down) / (2 * epsilon)

    unclipped = unrolled_fd(optimizer=clipped_sgd(rate, momentum, decay, 0.0))
    assert distance(case.estimate(unclipped).grads, expected) < 1e-10
    # The step in use is a clipped one.
    assert distance(case.estimate(unrolled_fd()).grads, expected) > 1e-2


def test_one_term_is_the_unrolled_correction_at_the_present_weights(network: Any) -> None:
    case = network(0.2)
    params, stats, key = case.lower.params, case.lower.stats, jax.random.key(0)
    v, d = jax.grad(case.problem.outer, argnums=(0, 1), has_aux=True)(
        params, case.alpha, stats, case.batches.valid, key
    )[0]

    def along(alpha: Any) -> jax.Array:
        grads = jax.grad(case.problem.inner, has_aux=True)(params, alpha, stats, case.batches.train, key)[0]
        moved = case.problem.update(grads, case.lower.opt, params)[0]
        return sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(v), jax.tree.leaves(moved), strict=True))

    expected = d["mix"] + quotients(jax.jit(along), case.alpha)
    assert distance(case.estimate(neumann(1)).grads, expected) < 1e-7
