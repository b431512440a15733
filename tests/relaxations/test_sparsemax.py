"""Sparsemax against a search over all supports, and its Jacobian."""

from collections.abc import Callable
from itertools import chain, combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.relaxations import sparsemax


def nearest(row: np.ndarray) -> np.ndarray:
    """Return the point of the simplex nearest to `row`, by trying every support."""
    columns = range(len(row))
    best, least = np.zeros(len(row)), np.inf
    for support in chain.from_iterable(combinations(columns, size) for size in range(1, len(row) + 1)):
        point = np.zeros(len(row))
        chosen = list(support)
        point[chosen] = row[chosen] - (row[chosen].sum() - 1) / len(chosen)
        distance = ((point - row) ** 2).sum()
        if (point >= 0).all() and distance < least:
            best, least = point, distance
    return best


@pytest.fixture
def project(on_edges: Callable) -> Callable[[np.ndarray], jax.Array]:
    return lambda rows: on_edges(sparsemax(), edges=len(rows), ops=tuple("abcde")).expected(rows)


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 30.0])
def test_projection(scale: float, project: Callable) -> None:
    rows = (scale * np.random.default_rng(0).normal(size=(60, 5)) + 3).astype(np.float32)
    np.testing.assert_allclose(
        project(rows), [nearest(row.astype(np.float64)) for row in rows], atol=1e-6 + 2e-7 * scale
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [([0, 0, 0, 0, 0], [0.2] * 5), ([1, 1, 0, 0, 0], [0.5, 0.5, 0, 0, 0]), ([2, 1, 1, 0, 0], [1, 0, 0, 0, 0])],
)
def test_ties(row: list[float], expected: list[float], project: Callable) -> None:
    np.testing.assert_allclose(project(np.array([row], np.float32))[0], expected, atol=1e-7)


def test_jacobian(project: Callable) -> None:
    rows = np.random.default_rng(1).normal(size=(20, 5)).astype(np.float32) * 0.6
    sizes = set()
    for row in rows:
        jacobian = np.asarray(jax.jacrev(lambda row: project(row[None])[0])(jnp.asarray(row)))
        inside = (nearest(row.astype(np.float64)) > 0).astype(float)
        sizes.add(int(inside.sum()))
        np.testing.assert_allclose(jacobian, np.diag(inside) - np.outer(inside, inside) / inside.sum(), atol=1e-6)
    assert len(sizes) > 2


def test_jacobian_is_the_slope_of_the_projection(project: Callable) -> None:
    row, direction = np.array([[0.5, 0.1, -0.2, 0.4, -1.0]]), np.array([[0.3, -1.0, 0.7, 0.2, 0.5]])
    _, slope = jax.jvp(project, (jnp.asarray(row, jnp.float32),), (jnp.asarray(direction, jnp.float32),))
    step = 1e-4
    difference = (nearest(row[0] + step * direction[0]) - nearest(row[0] - step * direction[0])) / (2 * step)
    np.testing.assert_allclose(slope[0], difference, atol=1e-5)
