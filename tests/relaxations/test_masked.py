"""Any relaxation on a part of the operations."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import relaxations
from dnas.relaxations import binary_gates, dirichlet, masked, op_dropout, single_path, softmax, sparsemax
from dnas.types import Group, Paths

OPS = ("none", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
SPEC = {"g": Group(3, OPS), "h": Group(1, OPS)}
MASK = np.array([[True, False, True, False], [False, True, True, True], [False, False, True, False]])
ALPHA = {"g": jax.random.normal(jax.random.key(1), (3, 4)), "h": jnp.zeros((1, 4))}
KEYS = jax.random.split(jax.random.key(2), 100)
KEY = KEYS[0]


def state_of(relaxation: Any) -> Any:
    return relaxation.init(KEY, SPEC)[1]


@pytest.mark.parametrize("name", sorted(set(relaxations.__all__) - {"masked", "edge_normalised"}))
def test_the_others_weigh_nothing_and_get_no_gradient(name: str) -> None:
    relaxation = masked(getattr(relaxations, name)(), {"g": MASK})
    state = state_of(relaxation)
    slopes = jnp.arange(1.0, 5.0)

    def value(alpha: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        rows = relaxation.weights(key, alpha, state)["g"]
        rows = rows.weights if isinstance(rows, Paths) else rows
        return jnp.sum(rows * slopes), rows

    gradients, rows = jax.jit(jax.vmap(jax.grad(value, has_aux=True), (None, 0)))(ALPHA, KEYS)
    chex.assert_tree_all_finite((gradients, rows))
    for each in (rows, gradients["g"], relaxation.expected(ALPHA, state)["g"][None]):
        np.testing.assert_array_equal(np.asarray(each)[:, ~MASK], 0)
    if name != "sparsemax":
        assert (np.asarray(rows)[:, MASK] > 0).any(axis=0).all()
    if name not in ("sigmoid", "max_w", "auxiliary_skip", "skip_dropout"):
        np.testing.assert_allclose(rows.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("inner", [softmax, sparsemax, dirichlet, single_path])
def test_the_allowed_are_a_problem_of_their_own(inner: Callable) -> None:
    relaxation = masked(inner(), {"g": MASK})
    got = np.asarray(relaxation.expected(ALPHA, state_of(relaxation))["g"])
    for row, allowed, own in zip(ALPHA["g"], MASK, got, strict=True):
        alone = inner().expected({"g": row[allowed][None]}, ())["g"][0]
        np.testing.assert_allclose(own[allowed], alone, rtol=1e-5, atol=1e-7)


def test_an_allowed_dirichlet_is_a_dirichlet() -> None:
    relaxation = masked(dirichlet(), {"g": MASK})
    state = state_of(relaxation)
    many = jax.random.split(jax.random.key(3), 3000)
    rows = np.asarray(jax.jit(jax.vmap(lambda key: relaxation.weights(key, ALPHA, state)["g"]))(many))
    mean = np.asarray(relaxation.expected(ALPHA, state)["g"])
    np.testing.assert_allclose(rows.mean(axis=0), mean, atol=0.025)
    concentration = np.where(ALPHA["g"] > 0, ALPHA["g"] + 1, np.exp(np.minimum(ALPHA["g"], 0))) * MASK
    total = concentration.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(rows.var(axis=0), mean * (1 - mean) / (total + 1), atol=0.01)


def test_the_only_operation_is_always_kept() -> None:
    for inner in (op_dropout(0.5), binary_gates()):
        relaxation = masked(inner, {"g": MASK})
        state, draw = state_of(relaxation), jax.jit(relaxation.weights)
        for key in KEYS[:5]:
            rows = draw(key, ALPHA, state)["g"]
            np.testing.assert_array_equal((rows.weights if isinstance(rows, Paths) else rows)[2], [0, 0, 1, 0])


def test_a_mask_of_everything_changes_nothing() -> None:
    for inner in (softmax(), binary_gates(), op_dropout(0.3)):
        relaxation = masked(inner)
        state = state_of(relaxation)
        got, own = (jax.jit(one.weights)(KEY, ALPHA, own) for one, own in ((relaxation, state), (inner, state.inner)))
        chex.assert_trees_all_equal(got, own)


def test_an_update_keeps_what_is_masked_for_later() -> None:
    after = jax.tree.map(lambda rows: rows + jnp.linspace(0.0, 1.0, rows.size).reshape(rows.shape), ALPHA)
    for inner in (softmax(), binary_gates(), op_dropout(0.5)):
        relaxation = masked(inner, {"g": MASK})
        state = state_of(relaxation)
        kept, later = jax.jit(relaxation.advance)(KEY, ALPHA, after, state)
        np.testing.assert_array_equal(kept["g"][~MASK], after["g"][~MASK])
        assert (np.abs(kept["g"]) < 10).all()
        chex.assert_trees_all_equal_shapes(state, later)


def test_kept_operations_hold_their_share_of_the_allowed() -> None:
    relaxation = masked(op_dropout(0.5), {"g": MASK})
    state = state_of(relaxation)
    after = {name: rows + 0.3 * jax.random.normal(jax.random.key(4), rows.shape) for name, rows in ALPHA.items()}
    draw, advance = jax.jit(relaxation.weights), jax.jit(relaxation.advance)
    for key in KEYS[:20]:
        kept = np.asarray(draw(key, ALPHA, state)["g"]) > 0
        adjusted, _ = advance(key, ALPHA, after, state)
        shares = [np.where(kept, relaxation.expected(rows, state)["g"], 0).sum(axis=-1) for rows in (ALPHA, adjusted)]
        np.testing.assert_allclose(shares[0], shares[1], rtol=1e-5)


def test_an_edge_without_operations_weighs_nothing() -> None:
    nothing = np.zeros((3, 4), bool)
    for inner in (softmax(), dirichlet(), op_dropout(), binary_gates(), sparsemax(), single_path()):
        relaxation = masked(inner, {"g": nothing})
        rows = jax.jit(relaxation.weights)(KEY, ALPHA, state_of(relaxation))["g"]
        np.testing.assert_array_equal(rows.weights if isinstance(rows, Paths) else rows, 0)


def test_states_of_different_masks_run_together() -> None:
    relaxation = masked()
    state = state_of(relaxation)
    masks = jnp.stack([jnp.asarray(MASK), ~jnp.asarray(MASK)])

    def expected(mask: jax.Array) -> jax.Array:
        return relaxation.expected(ALPHA, state._replace(allowed={**state.allowed, "g": mask}))["g"]

    together = jax.vmap(expected)(masks)
    np.testing.assert_allclose(together, [expected(mask) for mask in masks], rtol=1e-6)
    np.testing.assert_array_equal(together > 0, masks)


def test_bad_masks(sentence: Callable) -> None:
    with sentence("group", "'grop'"):
        masked(allowed={"grop": MASK}).init(KEY, SPEC)
    with sentence("'h'", (1, 4), (3, 4)):
        masked(allowed={"h": MASK}).init(KEY, SPEC)
