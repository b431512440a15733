"""What every relaxation promises."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas.relaxations
from dnas.types import Group, Relaxation

PACKAGE = dnas.relaxations
SPEC = {"wide": Group(5, ("a", "b", "c")), "single": Group(1, ("a", "b"))}


def simplex(rows: np.ndarray) -> None:
    assert (rows > 0).all()
    np.testing.assert_allclose(rows.sum(axis=-1), 1.0, rtol=1e-6)


LAWS: dict[str, Callable[[np.ndarray], None]] = {"softmax": simplex}
"""What the operation weights of a kind of relaxation obey beside the promises of all."""


@pytest.fixture(scope="module")
def relaxation(factory: Callable[[], Relaxation]) -> Relaxation:
    return factory()


def test_defaults_give_a_relaxation(relaxation: Relaxation) -> None:
    assert isinstance(relaxation, Relaxation)


def test_alpha_and_weights_have_a_row_for_each_edge(relaxation: Relaxation) -> None:
    key_init, key_weights = jax.random.split(jax.random.key(0))
    alpha, state = jax.jit(lambda key: relaxation.init(key, SPEC))(key_init)
    weights = jax.jit(relaxation.weights)(key_weights, alpha, state)
    for tree in (alpha, weights):
        assert set(tree) == set(SPEC)
        for name, group in SPEC.items():
            chex.assert_shape(tree[name], (group.edges, len(group.ops)))
            chex.assert_type(tree[name], jnp.float32)
    chex.assert_tree_all_finite((alpha, weights))


def test_the_key_decides_where_alpha_starts(relaxation: Relaxation) -> None:
    first, again, other = (relaxation.init(jax.random.key(seed), SPEC)[0] for seed in (0, 0, 1))
    chex.assert_trees_all_equal(first, again)
    if np.ptp(first["wide"]) > 0:
        assert not np.array_equal(first["wide"], other["wide"])
        # Groups do not share their draws.
        assert not set(np.ravel(first["wide"]).tolist()) & set(np.ravel(first["single"]).tolist())


@pytest.mark.parametrize("scale", [0.0, 1.0, 50.0])
def test_weights_are_finite_and_obey_the_law_of_their_kind(relaxation: Relaxation, member: str, scale: float) -> None:
    alpha, state = relaxation.init(jax.random.key(0), SPEC)
    alpha = jax.tree.map(lambda rows: scale * jax.random.normal(jax.random.key(1), rows.shape), alpha)
    weights = relaxation.weights(jax.random.key(2), alpha, state)
    chex.assert_tree_all_finite(weights)
    law = LAWS.get(member.rpartition(".")[2])
    if law and scale <= 1.0:
        for rows in weights.values():
            law(np.asarray(rows))


def test_the_gradient_reaches_every_entry_of_alpha(relaxation: Relaxation) -> None:
    alpha, state = relaxation.init(jax.random.key(0), SPEC)
    slopes = {name: jax.random.normal(jax.random.key(5), rows.shape) for name, rows in alpha.items()}

    def value(alpha: Any) -> jax.Array:
        weights = relaxation.weights(jax.random.key(1), alpha, state)
        return sum(jnp.sum(weights[name] * slopes[name]) for name in SPEC)

    gradient = jax.jit(jax.grad(value))(alpha)
    chex.assert_tree_all_finite(gradient)
    for rows in gradient.values():
        assert (np.abs(rows) > 0).all()


def test_a_larger_alpha_never_means_a_smaller_weight(relaxation: Relaxation) -> None:
    alpha, state = relaxation.init(jax.random.key(0), SPEC)
    raised = {name: rows.at[:, 1].add(2.0) for name, rows in alpha.items()}
    before, after = (relaxation.weights(jax.random.key(1), values, state) for values in (alpha, raised))
    for name in SPEC:
        assert (after[name][:, 1] >= before[name][:, 1]).all()


def test_advance_keeps_the_states_form(relaxation: Relaxation) -> None:
    alpha, state = relaxation.init(jax.random.key(0), SPEC)
    later = jax.jit(lambda state: jax.lax.scan(lambda s, _: (relaxation.advance(s), None), state, length=3)[0])(state)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, later)
    chex.assert_tree_all_finite(relaxation.weights(jax.random.key(1), alpha, later))
