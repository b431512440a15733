"""Max-W of sharpDARTS, and the sigmoids of Fair-DARTS."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dnas.relaxations import max_w, sigmoid

KEY = jax.random.key(0)


def test_the_leading_operation_weighs_one_and_the_others_less_by_what_they_lack(on_edges: Callable) -> None:
    rows = jax.random.normal(jax.random.key(1), (50, 4))
    weights, soft = on_edges(max_w(), edges=50).weights(KEY, rows), np.asarray(jax.nn.softmax(rows))
    np.testing.assert_array_equal(weights.max(axis=-1), 1.0)
    np.testing.assert_array_equal(weights.argmax(axis=-1), rows.argmax(axis=-1))
    np.testing.assert_allclose(weights, 1 - soft.max(axis=-1, keepdims=True) + soft, rtol=1e-6)


def test_the_leading_weight_has_no_derivative_and_the_maximum_has(on_edges: Callable) -> None:
    edge, row = on_edges(max_w()), jnp.array([[0.2, 1.0, -0.3, 0.1]])
    jacobian = np.asarray(jax.jacrev(lambda row: edge.weights(KEY, row)[0])(row))[:, 0]
    soft = np.asarray(jax.nn.softmax(row[0]))
    plain = np.diag(soft) - np.outer(soft, soft)
    np.testing.assert_array_equal(jacobian[1], 0)
    np.testing.assert_allclose(jacobian, plain - plain[1], atol=1e-7)


def test_max_w_is_judged_by_its_softmax(on_edges: Callable) -> None:
    rows = jax.random.normal(jax.random.key(1), (5, 4))
    np.testing.assert_allclose(on_edges(max_w(), edges=5).expected(rows), jax.nn.softmax(rows), rtol=1e-6)


def test_sigmoids_are_independent_and_start_at_a_half(on_edges: Callable) -> None:
    edge = on_edges(sigmoid())
    alpha, _ = edge.relaxation.init(KEY, {"g": edge.group})
    np.testing.assert_array_equal(edge.expected(alpha["g"]), 0.5)
    row = jnp.array([[-3.0, 0.4, 2.0, 0.0]])
    np.testing.assert_allclose(edge.weights(KEY, row), 1 / (1 + np.exp(-row)), rtol=1e-6)
    jacobian = np.asarray(jax.jacrev(lambda row: edge.weights(KEY, row)[0])(row))[:, 0]
    own = np.asarray(jax.nn.sigmoid(row[0]))
    np.testing.assert_allclose(jacobian, np.diag(own * (1 - own)), atol=1e-7)
