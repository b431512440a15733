"""The two modes of ProxylessNAS's gates."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.relaxations import binary_gates
from dnas.types import Group

ROWS = np.array([[0.4, -0.7, 1.1, 0.0]], np.float32)
P = np.exp(ROWS[0]) / np.exp(ROWS[0]).sum()
SLOPES = np.array([0.3, -1.4, 0.8, 2.0], np.float32)


def formula(slopes: np.ndarray, p: np.ndarray) -> np.ndarray:
    """sum_j slopes_j p_j (delta_ij - p_i), as a double loop like the reference's."""
    gradient = np.zeros_like(p)
    for i in range(len(p)):
        for j in range(len(p)):
            gradient[i] += slopes[j] * p[j] * ((i == j) - p[i])
    return gradient


def test_full_gates_have_the_papers_gradient(on_edges: Callable) -> None:
    for jacobian in on_edges(binary_gates("full")).jacobians(ROWS, 5)[1][:, 0]:
        np.testing.assert_allclose(SLOPES @ jacobian, formula(SLOPES, P), rtol=1e-4)


def test_a_pair_is_drawn_without_replacement(on_edges: Callable, agree: Callable) -> None:
    paths = on_edges(binary_gates()).draw(ROWS, 6000)
    pairs, gate = np.sort(paths.active[:, 0], axis=-1), np.argmax(paths.weights[:, 0], axis=-1)
    counts, law = [], []
    for i in range(4):
        for j in range(i + 1, 4):
            pair = P[i] * P[j] * (1 / (1 - P[i]) + 1 / (1 - P[j]))
            for open_gate in (i, j):
                counts.append(((pairs == [i, j]).all(axis=-1) & (gate == open_gate)).sum())
                law.append(pair * P[open_gate] / (P[i] + P[j]))
    agree(counts, law)


def test_a_pairs_gradient_is_the_papers_within_the_pair(on_edges: Callable) -> None:
    edge = on_edges(binary_gates())
    pairs, jacobians = np.asarray(edge.draw(ROWS, 10).active[:, 0]), edge.jacobians(ROWS, 10)[1][:, 0]
    for pair, jacobian in zip(pairs, jacobians, strict=True):
        expected = np.zeros(4)
        expected[pair] = formula(SLOPES[pair], P[pair] / P[pair].sum())
        np.testing.assert_allclose(SLOPES @ jacobian, expected, atol=1e-6)


def test_after_an_update_the_pair_has_the_mass_that_it_had(on_edges: Callable) -> None:
    edge = on_edges(binary_gates(), edges=40)
    before = jax.random.normal(jax.random.key(1), (40, 4))
    after = before + 0.3 * jax.random.normal(jax.random.key(2), before.shape)
    key = jax.random.key(3)
    kept = edge.advance(key, before, after)
    pairs = np.asarray(jax.jit(edge.weights)(key, before).active)
    edges = np.arange(40)[:, None]
    np.testing.assert_allclose(
        jnp.exp(kept)[edges, pairs].sum(axis=-1), jnp.exp(before)[edges, pairs].sum(axis=-1), rtol=1e-5
    )
    # The update decides between the two; the others are as it left them.
    moved = np.array(after - kept)
    np.testing.assert_allclose(np.ptp(moved[edges, pairs], axis=-1), 0, atol=1e-5)
    moved[edges, pairs] = 0
    np.testing.assert_array_equal(moved, 0)


def test_full_gates_leave_the_update_as_it_is(on_edges: Callable) -> None:
    np.testing.assert_array_equal(on_edges(binary_gates("full")).advance(jax.random.key(0), ROWS, ROWS + 1), ROWS + 1)


def test_two_operations_are_always_the_pair(on_edges: Callable) -> None:
    edge = on_edges(binary_gates(), edges=3, ops=("skip_connect", "sep_conv_3x3"))
    paths = edge.draw(np.zeros((3, 2), np.float32), 20)
    np.testing.assert_array_equal(np.sort(paths.active, axis=-1), np.broadcast_to([0, 1], (20, 3, 2)))


def test_bad_gates(sentence: Callable) -> None:
    with sentence("mode of binary gates", "'tow'", "'two'"):
        binary_gates("tow")
    with sentence("'g'", "two operations", 1):
        binary_gates().init(jax.random.key(0), {"g": Group(1, ("skip_connect",))})


@pytest.mark.parametrize("mode", ["full", "two"])
def test_gates_start_small(mode: str) -> None:
    alpha, _ = binary_gates(mode).init(jax.random.key(0), {"g": Group(200, ("a", "b", "c", "d"))})
    assert float(alpha["g"].std()) == pytest.approx(1e-3, rel=0.1)
