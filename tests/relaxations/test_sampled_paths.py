"""Relaxations that draw one operation an edge: what they draw, and what gradient they give."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from dnas.relaxations import binary_gates, gdas, gumbel_softmax, reinmax, single_path
from dnas.types import Paths

ROWS = np.array([[0.4, -0.7, 1.1, 0.0], [-1.2, 0.3, 0.2, 0.6]], np.float32)
KINDS = {
    "gdas": gdas,
    "reinmax": reinmax,
    "full gates": lambda: binary_gates("full"),
    "two gates": lambda: binary_gates("two"),
    "single_path": single_path,
}
OUTPUTS = jax.random.normal(jax.random.key(7), (2, 4, 33))


def softmax(rows: np.ndarray) -> np.ndarray:
    return np.asarray(jax.nn.softmax(jnp.asarray(rows), axis=-1))


def jacobian_of_softmax(p: np.ndarray) -> np.ndarray:
    return np.diag(p) - np.outer(p, p)


def opened(rows: Any) -> np.ndarray:
    """Return the column of weight 1."""
    return np.argmax(getattr(rows, "weights", rows), axis=-1)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def edge(kind: str, on_edges: Callable) -> Any:
    return on_edges(KINDS[kind](), edges=2)


@pytest.fixture(scope="module")
def drawn(edge: Any) -> Any:
    return edge.draw(ROWS, 4000)


def test_marginals(kind: str, edge: Any, drawn: Any, agree: Callable) -> None:
    probabilities = np.full((2, 4), 0.25) if kind == "single_path" else softmax(ROWS)
    np.testing.assert_allclose(edge.expected(ROWS), probabilities, rtol=1e-5)
    if kind == "two gates":
        return  # Its law is that of pairs, which has a test of its own.
    columns = opened(drawn)
    for row in range(2):
        agree(np.bincount(columns[:, row], minlength=4), probabilities[row])
    # Edges are drawn independently of one another.
    joint = np.histogram2d(columns[:, 0], columns[:, 1], bins=[np.arange(5)] * 2)[0]
    agree(joint.ravel(), np.outer(*probabilities).ravel())


def test_the_output_is_the_drawn_operations_to_the_last_bit(kind: str, drawn: Any, mix: Callable) -> None:
    columns = opened(drawn)
    for one, column in enumerate(columns[:20]):
        rows = jax.tree.map(lambda leaf, one=one: leaf[one], drawn)
        np.testing.assert_array_equal(mix(rows, OUTPUTS), OUTPUTS[np.arange(2), column])
    if kind in ("gdas", "reinmax", "single_path"):
        np.testing.assert_array_equal(drawn.active, columns[..., None])


def test_the_gradient_of_a_mixture_comes_through_the_computed_columns_alone(edge: Any, mix: Callable) -> None:
    key, target = jax.random.split(jax.random.key(3), 1)[0], jax.random.normal(jax.random.key(8), (2, 33))
    jacobian = edge.jacobians(ROWS, 1, seed=3)[1][0]
    got, rows = slope_of_a_mixture(edge, key, mix, target)
    slopes = np.einsum("ekc,ec->ek", OUTPUTS, target)
    if isinstance(rows, Paths):
        slopes = slopes * np.asarray(jax.nn.one_hot(rows.active, 4).sum(axis=1))
    np.testing.assert_allclose(got, np.einsum("ek,ekj->ej", slopes, jacobian), rtol=1e-4, atol=1e-5)


def slope_of_a_mixture(edge: Any, key: jax.Array, mix: Callable, target: jax.Array) -> tuple[np.ndarray, Any]:
    """Return the gradient for alpha of <mixture, target>, and the weights."""

    def loss(alpha: jax.Array) -> tuple[jax.Array, Any]:
        rows = edge.weights(key, alpha)
        return jnp.sum(mix(rows, OUTPUTS) * target), rows

    return jax.jit(jax.grad(loss, has_aux=True))(ROWS)


def test_gumbel_softmax_peaks_with_the_probabilities_of_the_softmax(on_edges: Callable, agree: Callable) -> None:
    columns = on_edges(gumbel_softmax(), edges=2).draw(ROWS, 4000).argmax(axis=-1)
    for row in range(2):
        agree(np.bincount(columns[:, row], minlength=4), softmax(ROWS)[row])


def simplex_of(jacobian: np.ndarray) -> np.ndarray:
    """Return the p for which a Jacobian is diag(p) - p p', from its off-diagonal entries."""
    row = np.array(
        [-jacobian[i, j] * jacobian[i, k] / jacobian[j, k] for i, j, k in [(0, 1, 2), (1, 2, 3), (2, 3, 0), (3, 0, 1)]]
    )
    return np.sqrt(row)


def test_gdas_has_the_derivative_of_its_gumbel_softmax(on_edges: Callable) -> None:
    logits = {}
    for steps, heat in ((0, 8.0), (1, 4.5), (2, 1.0)):
        edge = on_edges(gdas(start=8.0, end=1.0, steps=2), edges=2).later(steps)
        weights, jacobians = (each[0] for each in edge.jacobians(ROWS, 1, seed=5))
        p = np.stack([simplex_of(heat * one) for one in jacobians])
        np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-3)
        for one, own in zip(jacobians, p, strict=True):
            np.testing.assert_allclose(heat * one, jacobian_of_softmax(own), atol=1e-4)
        np.testing.assert_array_equal(p.argmax(axis=-1), weights.argmax(axis=-1))
        logits[heat] = heat * (np.log(p) - np.log(p).mean(axis=-1, keepdims=True))
    # One draw of the noise, whatever the temperature.
    np.testing.assert_allclose(logits[8.0], logits[1.0], atol=2e-2)
    np.testing.assert_allclose(logits[4.5], logits[1.0], atol=2e-2)


def test_gumbel_softmax_is_a_logistic_on_its_log_odds(on_edges: Callable) -> None:
    edge = on_edges(gumbel_softmax(start=2.0), edges=2)
    rows = np.asarray(edge.draw(ROWS, 2000), np.float64)
    for row in range(2):
        for i, j in ((0, 1), (1, 3), (2, 0)):
            odds = 2.0 * np.log(rows[:, row, i] / rows[:, row, j]) - (ROWS[row, i] - ROWS[row, j])
            assert kstest(odds, "logistic").pvalue > 1e-3


def test_gumbel_softmax_hardens_as_it_cools(on_edges: Callable) -> None:
    edge = on_edges(gumbel_softmax(steps=1), edges=2)
    warm, cool = (one.draw(ROWS, 200).max(axis=-1) for one in (edge, edge.later(1)))
    assert (cool >= warm - 1e-6).all()
    assert np.median(cool) > 0.999


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_reinmax_has_the_derivative_of_its_formula(temperature: float, on_edges: Callable) -> None:
    p, warm = softmax(ROWS), softmax(ROWS / temperature)
    for weights, jacobians in zip(*on_edges(reinmax(temperature), edges=2).jacobians(ROWS, 10), strict=True):
        for row, (drawn, jacobian) in enumerate(zip(weights, jacobians, strict=True)):
            middle = jacobian_of_softmax((warm[row] + drawn) / 2)
            np.testing.assert_allclose(jacobian, 2 * middle - jacobian_of_softmax(p[row]) / 2, atol=1e-6)


def test_reinmax_on_one_path_is_half_of_the_score(on_edges: Callable, mix: Callable) -> None:
    edge, target = on_edges(reinmax(), edges=2), jax.random.normal(jax.random.key(8), (2, 33))
    got, rows = slope_of_a_mixture(edge, jax.random.key(2), mix, target)
    column = np.asarray(rows.active[:, 0])
    slope = np.einsum("ec,ec->e", OUTPUTS[np.arange(2), column], target)
    np.testing.assert_allclose(got, slope[:, None] * (np.eye(4)[column] - softmax(ROWS)) / 2, rtol=1e-4, atol=1e-5)


def test_reinmax_is_exact_on_average_for_a_quadratic_loss(on_edges: Callable) -> None:
    rng = np.random.default_rng(0)
    curvature, slope = rng.normal(size=(4, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    curvature = curvature + curvature.T
    edge, rows = on_edges(reinmax()), ROWS[:1]

    def loss(weights: jax.Array) -> jax.Array:
        return 0.5 * weights @ curvature @ weights + slope @ weights

    def expected_loss(alpha: jax.Array) -> jax.Array:
        return jax.nn.softmax(alpha[0]) @ jax.vmap(loss)(jnp.eye(4))

    weights, jacobians = (each[:, 0] for each in edge.jacobians(rows, 200))
    gradients = np.einsum("nk,nkj->nj", weights @ curvature + slope, jacobians)
    drawn = weights.argmax(axis=-1)
    # The gradient depends on the key through the drawn column only.
    mean = sum(p * gradients[drawn == column][0] for column, p in enumerate(softmax(rows)[0]))
    np.testing.assert_allclose(mean, jax.grad(expected_loss)(jnp.asarray(rows))[0], atol=1e-5)


def test_a_single_path_learns_nothing(on_edges: Callable) -> None:
    edge = on_edges(single_path(), edges=2)
    np.testing.assert_array_equal(edge.jacobians(ROWS, 3)[1], 0)


def test_reinmax_refuses_what_its_authors_refuse(sentence: Callable) -> None:
    with sentence("temperature", "at least 1", 0.5):
        reinmax(temperature=0.5)
