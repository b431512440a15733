"""Operations whose training and validation gradients disagree for a whole window are frozen, for good."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.errors import UserError
from dnas.stopping.operation_alignment import Alignment, freeze, observe, similarity, start


def draw(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_cosines_along_the_output_channels() -> None:
    train = {"w": jnp.array([[3.0, 4.0], [1.0, 0.0]])}
    valid = {"w": jnp.array([[4.0, 3.0], [0.0, 2.0]])}
    assert float(similarity(train, valid)) == pytest.approx((24 / 25 + 0) / 2)
    # Tensors count equally, whatever their size; a zero gradient has cosine 0.
    more = {"w": train["w"], "v": jnp.array([0.0, 5.0])}, {"w": valid["w"], "v": jnp.array([0.0, -1.0])}
    assert float(similarity(*more)) == pytest.approx((0.48 - 1) / 2)
    assert float(similarity({"w": jnp.zeros((2, 3))}, {"w": jnp.ones((2, 3))})) == 0


def test_scale_does_not_matter_and_sign_does() -> None:
    gradient = {"w": draw(3, 3, 4, 5), "v": draw(5, seed=1)}
    for factor, expected in ((0.01, 1), (-7, -1)):
        scaled = jax.tree.map(lambda leaf, factor=factor: factor * leaf, gradient)
        assert float(similarity(gradient, scaled)) == pytest.approx(expected, abs=1e-5)


def test_stacked_operations_are_compared_one_by_one() -> None:
    train, valid = (
        {"w": draw(4, 3, 3, 6), "v": draw(4, 6, seed=1)},
        {"w": draw(4, 3, 3, 6, seed=2), "v": draw(4, 6, seed=3)},
    )
    pick = lambda tree, index: jax.tree.map(lambda leaf: leaf[index], tree)  # noqa: E731
    one_by_one = [similarity(pick(train, index), pick(valid, index)) for index in range(4)]
    np.testing.assert_allclose(similarity(train, valid, lead=1), one_by_one, rtol=1e-5)


def test_a_window_of_low_similarity_freezes_and_nothing_thaws() -> None:
    step = jax.jit(observe)
    state = start((3,))
    low, edge, high = 0.39, 0.4001, 0.9
    for _ in range(19):
        state = step(state, jnp.array([low, edge, high]))
        assert not state.frozen.any()
    state = step(state, jnp.array([low, edge, high]))
    assert state.frozen.tolist() == [True, False, False]
    assert int(state.seen) == 0
    for _ in range(20):
        state = step(state, jnp.array([1.0, 1.0, -1.0]))
    assert state.frozen.tolist() == [True, False, True]


def test_it_is_the_windows_mean_that_counts() -> None:
    state: Alignment = start()
    for value in [-1.0, 1.0, 1.0, 1.0]:
        state = observe(state, jnp.asarray(value), window=4, least=0.5)
    assert not bool(state.frozen)
    for value in [-1.0, 1.0, 1.0, 0.9]:
        state = observe(state, jnp.asarray(value), window=4, least=0.5)
    assert bool(state.frozen)


def test_updates_of_frozen_operations_vanish_and_no_others() -> None:
    updates = {"w": draw(3, 2, 2), "v": draw(3, seed=1)}
    after = freeze(updates, jnp.array([True, False, True]))
    for name, leaf in updates.items():
        assert not after[name][jnp.array([0, 2])].any()
        np.testing.assert_array_equal(after[name][1], leaf[1])
    assert not any(leaf.any() for leaf in jax.tree.leaves(freeze(updates, jnp.array(True))))


def test_an_operation_without_weights() -> None:
    with pytest.raises(UserError, match="leave it out"):
        similarity({}, {})
