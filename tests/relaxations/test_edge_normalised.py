"""PC-DARTS's edge normalisation, over mixtures and over paths."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.relaxations import binary_gates, edge_normalised, gdas, op_dropout, softmax
from dnas.types import Group, Relaxation

NODES = (((0, 0), (1, 1)), ((2, 0), (3, 1), (4, 2)))
SPEC = {"normal": Group(5, ("a", "b", "c"), NODES, keep=2), "loose": Group(2, ("a", "b", "c"))}
ALPHA = {
    "normal": jax.random.normal(jax.random.key(1), (5, 3)),
    "loose": jax.random.normal(jax.random.key(2), (2, 3)),
    "normal/edges": jnp.array([0.3, -1.0, 2.0, 0.1, -0.4]),
}
KEY = jax.random.key(0)


def shares() -> np.ndarray:
    beta = np.asarray(ALPHA["normal/edges"])
    return np.concatenate([np.exp(beta[part]) / np.exp(beta[part]).sum() for part in (slice(2), slice(2, 5))])


def test_rows_are_multiplied_by_the_softmax_over_the_edges_of_a_node() -> None:
    relaxation = edge_normalised()
    alpha, state = relaxation.init(KEY, SPEC)
    assert set(alpha) == set(ALPHA)
    assert alpha["normal/edges"].shape == (5,)
    soft = jax.nn.softmax(ALPHA["normal"])
    for rows in (relaxation.weights(KEY, ALPHA, state), relaxation.expected(ALPHA, state)):
        np.testing.assert_allclose(rows["normal"], soft * shares()[:, None], rtol=1e-5)
        np.testing.assert_array_equal(rows["loose"], jax.nn.softmax(ALPHA["loose"]))


def test_edges_of_a_node_need_not_lie_together() -> None:
    apart = {"g": Group(4, ("a", "b"), (((3, 0), (0, 1)), ((1, 0), (2, 1))))}
    relaxation = edge_normalised()
    _, state = relaxation.init(KEY, apart)
    beta = jnp.array([0.5, -0.2, 1.0, 0.0])
    rows = relaxation.expected({"g": jnp.zeros((4, 2)), "g/edges": beta}, state)["g"].sum(axis=-1)
    e = np.exp(beta)
    np.testing.assert_allclose(
        rows, [e[0] / (e[0] + e[3]), e[1] / (e[1] + e[2]), e[2] / (e[1] + e[2]), e[3] / (e[0] + e[3])], rtol=1e-6
    )


@pytest.mark.parametrize("inner", [gdas(), binary_gates()], ids=["gdas", "binary_gates"])
def test_paths_are_scaled_and_stay_active(inner: Relaxation) -> None:
    relaxation = edge_normalised(inner)
    _, state = relaxation.init(KEY, SPEC)
    bare = {name: ALPHA[name] for name in SPEC}
    expected, got = jax.jit(inner.weights)(KEY, bare, state.inner), jax.jit(relaxation.weights)(KEY, ALPHA, state)
    np.testing.assert_array_equal(got["normal"].active, expected["normal"].active)
    np.testing.assert_allclose(got["normal"].weights, expected["normal"].weights * shares()[:, None], rtol=1e-5)
    chex.assert_trees_all_equal(got["loose"], expected["loose"])


def test_the_wrapped_relaxation_follows_the_update_and_beta_is_as_it_left_it() -> None:
    inner = op_dropout(0.3, free=("a",))
    relaxation = edge_normalised(inner)
    alpha, state = relaxation.init(KEY, SPEC)
    assert set(relaxation.init(KEY, {"loose": SPEC["loose"]})[0]) == {"loose"}
    updated = {name: rows + 0.1 * jnp.arange(rows.size).reshape(rows.shape) for name, rows in ALPHA.items()}
    kept, later = jax.jit(relaxation.advance)(KEY, ALPHA, updated, state)
    expected, inner_later = jax.jit(inner.advance)(
        KEY, {name: ALPHA[name] for name in SPEC}, {name: updated[name] for name in SPEC}, state.inner
    )
    chex.assert_trees_all_close(kept, {**expected, "normal/edges": updated["normal/edges"]})
    chex.assert_trees_all_equal(later.inner, inner_later)
    chex.assert_trees_all_equal_shapes(alpha, kept)


def test_the_default_is_softmax() -> None:
    named, default = (edge_normalised(inner) for inner in (softmax(), None))
    state = default.init(KEY, SPEC)[1]
    chex.assert_trees_all_equal(named.init(KEY, SPEC), default.init(KEY, SPEC))
    chex.assert_trees_all_equal(named.weights(KEY, ALPHA, state), default.weights(KEY, ALPHA, state))
