"""DrNAS's Dirichlet: its moments, its marginals, and the derivative of a draw."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import beta, kstest

from dnas.relaxations import dirichlet

ROWS = np.array([[0.9, -0.6, 0.2, -2.0]], np.float32)
CONCENTRATION = np.where(ROWS[0] > 0, ROWS[0] + 1, np.exp(ROWS[0])).astype(np.float64)
TOTAL = CONCENTRATION.sum()
MEAN = CONCENTRATION / TOTAL
DRAWS = 4000


def draws(on_edges: Callable) -> np.ndarray:
    return np.asarray(on_edges(dirichlet()).draw(ROWS, DRAWS))[:, 0]


def test_moments_and_marginals(on_edges: Callable) -> None:
    drawn = draws(on_edges)
    variance = MEAN * (1 - MEAN) / (TOTAL + 1)
    np.testing.assert_allclose(drawn.mean(axis=0), MEAN, atol=4 * np.sqrt(variance.max() / DRAWS))
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.1)
    covariance = -np.outer(MEAN, MEAN) / (TOTAL + 1)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(np.cov(drawn.T)[off], covariance[off], atol=4e-3)
    for column, own in enumerate(CONCENTRATION):
        # Small concentrations give draws below the smallest float32, which are zero.
        assert kstest(drawn[:, column], beta(own, TOTAL - own).cdf).pvalue > 1e-3


def test_expected_is_the_mean(on_edges: Callable) -> None:
    np.testing.assert_allclose(on_edges(dirichlet()).expected(ROWS)[0], MEAN, rtol=1e-5)


def test_the_derivative_of_a_draw_is_on_average_that_of_the_mean(on_edges: Callable) -> None:
    edge = on_edges(dirichlet())
    slopes = jnp.array([1.0, -2.0, 0.5, 3.0])
    keys = jax.random.split(jax.random.key(1), 600)
    one = jax.grad(lambda rows, key: edge.weights(key, rows)[0] @ slopes)
    gradients = np.asarray(jax.jit(jax.vmap(one, (None, 0)))(jnp.asarray(ROWS), keys))[:, 0]
    expected = jax.grad(lambda rows: edge.expected(rows)[0] @ slopes)(jnp.asarray(ROWS))[0]
    error = gradients.std(axis=0) / np.sqrt(len(keys))
    assert (np.abs(gradients.mean(axis=0) - expected) < 4 * error).all()
    # The average tells the derivative from none at all.
    assert (np.abs(expected) > 6 * error).any()


def test_extreme_concentrations_stay_finite(on_edges: Callable) -> None:
    edge = on_edges(dirichlet(), edges=50)
    rows = 1e3 * jax.random.normal(jax.random.key(1), (50, 4))
    summed = jax.value_and_grad(lambda rows: edge.weights(jax.random.key(0), rows)[:, 0].sum())
    value, gradient = jax.jit(summed)(rows)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(edge.expected(rows).sum(axis=-1), 1, rtol=1e-5)
