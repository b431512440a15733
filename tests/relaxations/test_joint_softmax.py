"""One softmax over all edges that compete, against a softmax of the flattened weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.relaxations import joint_softmax, masked
from dnas.types import Alpha
from search_spaces import darts, hypercuboid
from search_spaces.hypercuboid.grid import GRID

LEVELS, WIDTHS = 4, 3
SPEC = hypercuboid.space(classes=2, channels=2, widths=WIDTHS, layers=LEVELS // 2).spec
CELLS = darts.space(classes=2, nodes=2, ops=("skip_connect", "max_pool_3x3")).spec


@pytest.fixture(scope="module")
def alpha() -> Alpha:
    group = SPEC[GRID]
    return {GRID: 2 * jax.random.normal(jax.random.key(0), (group.edges, len(group.ops)))}


def flattened(alpha: Alpha) -> np.ndarray:
    """Return the softmax over all entries of each level but the last, as the authors' `view(num_layers, -1)`."""
    rows = alpha[GRID][:-WIDTHS].reshape(LEVELS, -1)
    return np.asarray(jax.nn.softmax(rows, axis=-1)).reshape(-1, 2)


def test_a_level_of_a_grid_shares_one_softmax(alpha: Alpha) -> None:
    mixing = joint_softmax()
    state = mixing.init(jax.random.key(1), SPEC)[1]
    np.testing.assert_allclose(mixing.expected(alpha, state)[GRID][:-WIDTHS], flattened(alpha), rtol=1e-5)


def test_edges_without_a_choice_weigh_one(alpha: Alpha) -> None:
    allowed = np.array(SPEC[GRID].allowed)
    mixing = masked(joint_softmax(), {GRID: allowed})
    state = mixing.init(jax.random.key(1), SPEC)[1]
    weights = mixing.expected(alpha, state)[GRID]
    np.testing.assert_allclose(weights[-WIDTHS:], np.tile([0.0, 1.0], (WIDTHS, 1)), rtol=1e-6)
    np.testing.assert_allclose(weights[:-WIDTHS], flattened(alpha), rtol=1e-5)


def test_the_leading_weight_of_each_level_is_one(alpha: Alpha) -> None:
    mixing = joint_softmax(leading=True)
    state = mixing.init(jax.random.key(1), SPEC)[1]
    mixed = np.asarray(mixing.weights(jax.random.key(2), alpha, state)[GRID])
    w = flattened(alpha).reshape(LEVELS, -1)
    np.testing.assert_allclose(mixed[:-WIDTHS].reshape(LEVELS, -1), 1 - w.max(axis=1, keepdims=True) + w, rtol=1e-5)
    assert (mixed[:-WIDTHS].reshape(LEVELS, -1).max(axis=1) == 1).all()
    np.testing.assert_array_equal(mixing.expected(alpha, state)[GRID], joint_softmax().expected(alpha, state)[GRID])


def test_nodes_of_a_cell_have_a_softmax_each() -> None:
    mixing = joint_softmax(scale=1.0)
    alpha, state = mixing.init(jax.random.key(0), CELLS)
    for name, rows in alpha.items():
        weights = mixing.expected(alpha, state)[name]
        for first, last in ((0, 2), (2, 5)):
            np.testing.assert_allclose(weights[first:last].ravel(), jax.nn.softmax(rows[first:last].ravel()), rtol=1e-5)


def test_no_overflow_and_gradient_to_every_entry(alpha: Alpha) -> None:
    mixing = joint_softmax(leading=True)
    state = mixing.init(jax.random.key(1), SPEC)[1]
    slopes = jax.random.normal(jax.random.key(3), alpha[GRID].shape)

    def value(rows: jax.Array) -> jax.Array:
        mixed = mixing.weights(jax.random.key(2), {GRID: rows}, state)[GRID]
        assert isinstance(mixed, jax.Array)
        return jnp.sum(slopes * mixed)

    assert (np.abs(jax.grad(value)(alpha[GRID])) > 0).all()
    assert np.isfinite(jax.grad(value)(1e4 * alpha[GRID])).all()
