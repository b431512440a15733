"""Zero-one loss and entropy in closed form, and decay of what took part."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas.errors import UserError
from dnas.regularisers import add_partial_decay, entropy, partial_decay, zero_one
from dnas.regularisers.partial_decay import ENTRIES

WEIGHTS = {"normal": jnp.array([[0.1, 0.9], [0.5, 1.0]]), "reduce": jnp.array([[0.0, 0.5, 0.7]])}
DISTANCES = [-0.4, 0.4, 0.0, 0.5, -0.5, 0.0, 0.2]


def test_zero_one_is_minus_the_mean_distance_over_all_entries() -> None:
    assert float(zero_one(WEIGHTS)) == pytest.approx(-sum(d * d for d in DISTANCES) / 7)
    assert float(zero_one(WEIGHTS, "l1")) == pytest.approx(-sum(map(abs, DISTANCES)) / 7)


@pytest.mark.parametrize(("form", "least"), [("l2", -0.25), ("l1", -0.5)])
def test_zero_one_is_least_at_the_corners_and_greatest_in_the_middle(form: str, least: float) -> None:
    corners = {"cell": jnp.array([[0.0, 1.0], [1.0, 1.0]])}
    assert float(zero_one(corners, form)) == least
    assert float(zero_one({"cell": jnp.full((2, 2), 0.5)}, form)) == 0


def test_zero_one_pushes_the_parameters_away_from_zero() -> None:
    alpha = jnp.array([[-1.0, 0.0, 0.5]])
    slope = jax.grad(lambda alpha: zero_one({"cell": jax.nn.sigmoid(alpha)}))(alpha)
    s = 1 / (1 + np.exp(-np.asarray(alpha)))
    np.testing.assert_allclose(slope, -2 / 3 * (s - 0.5) * s * (1 - s), rtol=1e-5, atol=1e-8)
    with pytest.raises(UserError, match="unknown form 'l3'"):
        zero_one(WEIGHTS, "l3")


def test_entropy() -> None:
    uniform = {"a": jnp.full((3, 4), 0.25), "b": jnp.full((1, 2), 0.5)}
    assert float(entropy(uniform)) == pytest.approx((3 * math.log(4) + math.log(2)) / 4)
    assert float(entropy({"a": jnp.eye(4)})) == 0
    row = np.array([0.7, 0.2, 0.1])
    assert float(entropy({"a": jnp.asarray(row)[None]})) == pytest.approx(-(row * np.log(row)).sum())


def test_the_slope_of_the_entropy() -> None:
    row = jnp.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    slope = np.asarray(jax.grad(lambda row: entropy({"a": row}))(row))
    np.testing.assert_allclose(slope[0], -(np.log(row[0]) + 1) / 2, rtol=1e-5)
    assert np.isfinite(slope).all()


GRADIENTS = {
    "taken": jnp.array([[0.0, 2.0], [0.0, 0.0]]),
    "dropped": jnp.zeros(3),
    "edges": jnp.array([[[0.0, -1e-9]], [[0.0, 0.0]], [[3.0, 1.0]]]),
}
PARAMS = {
    "taken": jnp.array([[1.0, -2.0], [3.0, 4.0]]),
    "dropped": jnp.array([1.0, 2.0, 3.0]),
    "edges": jnp.arange(1.0, 7.0).reshape(3, 1, 2),
}


def test_only_tensors_with_gradient_decay_and_the_factor_is_not_halved() -> None:
    decay = partial_decay(GRADIENTS, PARAMS, 0.1)
    np.testing.assert_allclose(decay["taken"], 0.2 * PARAMS["taken"], rtol=1e-6)
    np.testing.assert_array_equal(decay["dropped"], 0)
    np.testing.assert_allclose(decay["edges"], 0.2 * PARAMS["edges"], rtol=1e-6)
    # It is the gradient of the sum of squares of what took part.
    loss = lambda params: 0.1 * ((params["taken"] ** 2).sum() + (params["edges"] ** 2).sum())  # noqa: E731
    for got, expected in zip(*map(jax.tree.leaves, (decay, jax.grad(loss)(PARAMS))), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_stacked_tensors_and_entries() -> None:
    decay = partial_decay(GRADIENTS, PARAMS, 0.5, lead={"taken": ENTRIES, "dropped": 0, "edges": 1})
    np.testing.assert_array_equal(decay["taken"], [[0, -2], [0, 0]])
    np.testing.assert_array_equal(decay["edges"], [[[1, 2]], [[0, 0]], [[5, 6]]])
    above = partial_decay(GRADIENTS, PARAMS, 0.5, lead={"taken": 0, "dropped": 0, "edges": 1}, above=1e-7)
    np.testing.assert_array_equal(above["edges"], [[[0, 0]], [[0, 0]], [[5, 6]]])
    with pytest.raises(UserError, match="from 0 to 1 axes"):
        partial_decay(GRADIENTS, PARAMS, 0.5, lead=2)


def test_as_a_part_of_an_optimiser() -> None:
    optimizer = optax.chain(add_partial_decay(0.1), optax.sgd(1.0))
    state = optimizer.init(PARAMS)
    updates, _ = jax.jit(optimizer.update)(GRADIENTS, state, PARAMS)
    np.testing.assert_allclose(updates["taken"], -GRADIENTS["taken"] - 0.2 * PARAMS["taken"], rtol=1e-6)
    np.testing.assert_array_equal(updates["dropped"], 0)
    with pytest.raises(UserError, match="pass them"):
        add_partial_decay(0.1).update(GRADIENTS, optax.EmptyState())
