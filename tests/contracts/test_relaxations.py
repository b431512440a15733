"""What every relaxation promises."""

from collections.abc import Callable, Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas.relaxations
from dnas.types import Alpha, Group, Paths, Relaxation

PACKAGE = dnas.relaxations
OPS = ("none", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
NODES = (((0, 0), (1, 1)), ((2, 0), (3, 1), (4, 2)))
SPEC = {"joined": Group(5, OPS, NODES, keep=2, concat=(2, 3)), "apart": Group(5, OPS)}
"""Not in sorted order: a dictionary comes out of `jit` in another order than it went in."""
EACH = {name: (group.edges, len(group.ops)) for name, group in SPEC.items()}
DRAWS = 64

Rows = Mapping[str, np.ndarray]


def simplex(weights: Rows) -> None:
    for rows in weights.values():
        assert (rows >= 0).all()
        np.testing.assert_allclose(rows.sum(axis=-1), 1.0, rtol=1e-5)


def box(weights: Rows) -> None:
    for rows in weights.values():
        assert (rows >= 0).all()
        assert (rows <= 1).all()


def one_hot(weights: Rows) -> None:
    for rows in weights.values():
        assert set(np.unique(rows)) <= {0.0, 1.0}
        assert (rows.sum(axis=-1) == 1).all()


def leading_one(weights: Rows) -> None:
    for rows in weights.values():
        assert (rows >= 0).all()
        assert (rows.max(axis=-1) == 1).all()


def simplex_of_each_node(weights: Rows) -> None:
    for name, rows in weights.items():
        assert (rows >= 0).all()
        nodes = [[edge for edge, _ in node] for node in SPEC[name].nodes] or [[edge] for edge in range(len(rows))]
        for edges in nodes:
            assert rows[edges].sum() == pytest.approx(1.0, rel=1e-5)


def simplex_and_skip(weights: Rows) -> None:
    """The auxiliary skip connection starts with weight 1."""
    simplex(
        {name: rows - np.eye(rows.shape[-1])[SPEC[name].ops.index("skip_connect")] for name, rows in weights.items()}
    )


def simplex_beside_skip(weights: Rows) -> None:
    """A skip connection weighs nothing, or more than its share by the same factor everywhere."""
    for name, rows in weights.items():
        skip = SPEC[name].ops.index("skip_connect")
        others = np.delete(rows, skip, axis=-1).sum(axis=-1)
        assert (rows >= 0).all()
        np.testing.assert_allclose(rows[:, skip], np.where(rows[:, skip] > 0, (1 - others) / 0.7, 0), atol=1e-5)


LAWS: dict[str, Callable[[Rows], None]] = {
    "auxiliary_skip": simplex_and_skip,
    "binary_gates": one_hot,
    "dirichlet": simplex,
    "edge_normalised": simplex_of_each_node,
    "gdas": one_hot,
    "gumbel_softmax": simplex,
    "joint_softmax": simplex_of_each_node,
    "masked": simplex,
    "max_w": leading_one,
    "op_dropout": simplex,
    "projected": simplex,
    "reinmax": one_hot,
    "sigmoid": box,
    "single_path": one_hot,
    "skip_dropout": simplex_beside_skip,
    "softmax": simplex,
    "sparsemax": simplex,
}
"""What the weights of a kind of relaxation obey beside the promises of all; every file here has a law."""

UNLEARNT = {"single_path"}
"""Relaxations whose weights do not depend on alpha."""


@pytest.fixture(scope="module")
def relaxation(factory: Callable[[], Relaxation]) -> Relaxation:
    return factory()


@pytest.fixture(scope="module")
def kind(member: str) -> str:
    return member.rpartition(".")[2]


@pytest.fixture(scope="module")
def start(relaxation: Relaxation) -> tuple[Any, Any]:
    return jax.jit(lambda key: relaxation.init(key, SPEC))(jax.random.key(0))


@pytest.fixture(scope="module")
def draw(relaxation: Relaxation) -> Callable[..., Any]:
    """`(keys, alpha, state) -> (weights, gradients)` with a leading axis for the keys, as one program for all tests."""
    slopes = {name: jax.random.normal(jax.random.key(5), shape) for name, shape in EACH.items()}

    def value(alpha: Any, key: jax.Array, state: Any) -> tuple[jax.Array, Any]:
        weights = relaxation.weights(key, alpha, state)
        return sum(jnp.sum(dense(weights[name]) * slopes[name]) for name in SPEC), weights

    def one(key: jax.Array, alpha: Any, state: Any) -> tuple[Any, Any]:
        gradients, weights = jax.grad(value, has_aux=True)(alpha, key, state)
        return weights, gradients

    return jax.jit(jax.vmap(one, (0, None, None)))


@pytest.fixture(scope="module")
def advance(relaxation: Relaxation) -> Callable[..., Any]:
    return jax.jit(relaxation.advance)


KEYS = jax.random.split(jax.random.key(9), DRAWS)


def dense(rows: Any) -> Any:
    """Return the weights as a supernet applies them: those of columns that are not computed count for nothing."""
    if not isinstance(rows, Paths):
        return rows
    return jnp.where(jax.nn.one_hot(rows.active, rows.weights.shape[-1]).sum(axis=-2) > 0, rows.weights, 0.0)


def scattered(alpha: Alpha, scale: float) -> Any:
    return jax.tree.map(lambda rows: scale * jax.random.normal(jax.random.key(1), rows.shape), alpha)


def test_every_kind_has_a_law(kind: str) -> None:
    assert kind in LAWS, f"say in LAWS what the weights of {kind!r} obey"


def test_alpha_and_weights_have_a_row_for_each_edge(
    relaxation: Relaxation, start: tuple[Any, Any], draw: Callable[..., Any]
) -> None:
    assert isinstance(relaxation, Relaxation)
    alpha, state = start
    assert set(alpha) >= set(SPEC)
    weights, expected = draw(KEYS, alpha, state)[0], relaxation.expected(alpha, state)
    assert set(weights) == set(expected) == set(SPEC)
    for name, shape in EACH.items():
        rows = weights[name]
        if isinstance(rows, Paths):
            edges, ops = shape
            columns = np.sort(rows.active, axis=-1)
            assert rows.active.dtype == jnp.int32
            assert columns.shape[:2] == (DRAWS, edges)
            assert columns.min() >= 0
            assert columns.max() < ops
            assert (np.diff(columns, axis=-1) > 0).all()
            rows = rows.weights
        chex.assert_shape(rows, (DRAWS, *shape))
        chex.assert_shape([alpha[name], expected[name]], shape)
        chex.assert_type([rows, alpha[name], expected[name]], jnp.float32)
    chex.assert_tree_all_finite((alpha, weights, expected))


def test_the_key_decides_where_alpha_starts(relaxation: Relaxation) -> None:
    first, again, other = (relaxation.init(jax.random.key(seed), SPEC)[0] for seed in (0, 0, 1))
    chex.assert_trees_all_equal(first, again)
    for name, rows in first.items():
        if np.ptp(rows) > 0:
            assert not np.array_equal(rows, other[name])
            # No two arrays share their draws.
            for rest in set(first) - {name}:
                assert not set(np.ravel(rows).tolist()) & set(np.ravel(first[rest]).tolist())


@pytest.mark.parametrize("scale", [0.0, 1.0, 50.0])
def test_weights_are_finite_and_obey_the_law_of_their_kind(
    kind: str, relaxation: Relaxation, start: tuple[Any, Any], draw: Callable[..., Any], scale: float
) -> None:
    alpha, state = scattered(start[0], scale), start[1]
    (weights, gradients), expected = draw(KEYS, alpha, state), relaxation.expected(alpha, state)
    chex.assert_tree_all_finite((weights, gradients, expected))
    for one in range(0, DRAWS, 8):
        LAWS[kind]({name: np.asarray(dense(rows))[one] for name, rows in weights.items()})
    for rows in expected.values():
        assert (rows >= 0).all()
        assert (rows <= 1).all()


def test_groups_do_not_share_what_they_draw(
    relaxation: Relaxation, start: tuple[Any, Any], draw: Callable[..., Any]
) -> None:
    alpha = {name: jnp.zeros_like(start[0][name]) for name in [*SPEC, *sorted(set(start[0]) - set(SPEC))]}
    inside = draw(KEYS, alpha, start[1])[0]
    outside = jax.jit(lambda values: relaxation.weights(KEYS[0], dict(zip(alpha, values, strict=True)), start[1]))(
        list(alpha.values())
    )
    for name in SPEC:
        np.testing.assert_allclose(dense(inside[name])[0], dense(outside[name]), rtol=1e-5, atol=1e-6)
    # Divided by their sum, so that edge normalisation does not tell the two apart.
    joined, apart = (rows / rows.sum(axis=-1, keepdims=True) for rows in (np.asarray(dense(inside[n])) for n in SPEC))
    if np.ptp(joined, axis=0).max() > 0:
        assert not np.allclose(joined, apart)


def test_the_gradient_reaches_every_entry_of_alpha(kind: str, start: tuple[Any, Any], draw: Callable[..., Any]) -> None:
    for rows in draw(KEYS, *start)[1].values():
        # One draw may compute a part of the operations only; many reach them all.
        assert (np.abs(rows).max(axis=0) > 0).all() == (kind not in UNLEARNT)


def test_a_larger_alpha_never_means_a_smaller_expected_weight(
    kind: str, relaxation: Relaxation, start: tuple[Any, Any]
) -> None:
    alpha, state = start
    raised = {name: rows.at[:, 1].add(2.0) if name in SPEC else rows for name, rows in alpha.items()}
    before, after = (relaxation.expected(values, state) for values in (alpha, raised))
    for name in SPEC:
        assert (after[name][:, 1] >= before[name][:, 1]).all()
        assert (after[name][:, 1] > before[name][:, 1]).all() == (kind not in UNLEARNT)


def test_advance_leaves_alone_what_no_update_moved(
    start: tuple[Any, Any], draw: Callable[..., Any], advance: Callable[..., Any]
) -> None:
    alpha, state = later = start
    for key in KEYS[:3]:
        later = advance(key, later[0], later[0], later[1])
    chex.assert_trees_all_equal_shapes_and_dtypes((dict(alpha), state), later)
    chex.assert_trees_all_close(dict(alpha), later[0], atol=1e-5)
    chex.assert_tree_all_finite(draw(KEYS, *later))


def test_advance_follows_the_update(start: tuple[Any, Any], advance: Callable[..., Any]) -> None:
    before, state = start
    after = {name: rows + 0.1 * jax.random.normal(jax.random.key(3), rows.shape) for name, rows in before.items()}
    kept, _ = advance(KEYS[0], before, after, state)
    chex.assert_trees_all_equal_shapes_and_dtypes(kept, after)
    chex.assert_tree_all_finite(kept)
    for name in SPEC:
        # A relaxation may shift entries of an edge, but not undo what the update found out about them.
        assert (np.abs(kept[name] - before[name]).max(axis=-1) > 0).all()
