"""The step of a split search, by the arithmetic of the solvable problem."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas.splitting import split_search

FAST, SLOW = 0.02, 0.01
RATES = {"weight_optimizer": optax.sgd(FAST, momentum=0.5), "alpha_optimizer": optax.sgd(SLOW)}
BALANCE, SPRING = 3.0, 7.0


def test_w_then_y_then_alpha_each_at_what_the_one_before_left(toy: Any) -> None:
    search = toy.search(split_search, balance=BALANCE, coupling=SPRING, **RATES)
    states, infos = toy.run(search, 3)
    w = y = -2.0
    alpha, speed_w, speed_y = 2.0, 0.0, 0.0
    for step in range(3):
        np.testing.assert_allclose(infos.train_loss[step], (w - alpha) ** 2, rtol=1e-5)
        np.testing.assert_allclose(infos.valid_loss[step], alpha * y - 2 * alpha + 1, rtol=1e-5)
        # Each copy has momentum of its own.
        speed_w = 0.5 * speed_w + BALANCE * 2 * (w - alpha) + SPRING * (w - y)
        w -= FAST * speed_w
        speed_y = 0.5 * speed_y + alpha + SPRING * (y - w)
        y -= FAST * speed_y
        alpha -= SLOW * (BALANCE * 2 * (alpha - w) + y - 2)
        found = (states.params["w"][step], states.hypergradient.params["w"][step], states.alpha["toy"][step, 0, 0])
        np.testing.assert_allclose(found, (w, y, alpha), rtol=1e-5)


def test_four_evaluations_a_step_of_which_each_copy_sees_two(toy: Any) -> None:
    states, _ = toy.run(toy.search(split_search, watched=True, **RATES), 3)
    assert toy.seen == [True] * 12
    np.testing.assert_array_equal(states.stats["count"], [2, 4, 6])
    np.testing.assert_array_equal(states.hypergradient.stats["count"], [2, 4, 6])


def test_regularisers_add_their_gradient(toy: Any) -> None:
    plain, _ = toy.run(toy.search(split_search, **RATES), 1)
    penalty = [lambda alpha, weights: 3.0 * jnp.sum(weights["toy"])]
    states, _ = toy.run(toy.search(split_search, regularisers=penalty, **RATES), 1)
    np.testing.assert_allclose(plain.alpha["toy"] - states.alpha["toy"], 3.0 * SLOW, rtol=1e-4)


def test_what_does_not_fit_is_one_sentence(toy: Any, sentence: Any) -> None:
    with sentence("balance", "0.0"):
        toy.search(split_search, balance=0.0)
    with sentence("coupling", "-1.0"):
        toy.search(split_search, coupling=-1.0)
    batches = toy.batches(1)
    uneven = batches._replace(valid=jax.tree.map(lambda leaf: leaf[:, :1], batches.valid))
    with sentence("(2, 1)", "(1, 1)"):
        toy.run(toy.search(split_search), uneven)


@pytest.mark.parametrize("part", ["weights", "predict"])
def test_what_is_read_off_is_that_of_w(toy: Any, part: str) -> None:
    search = toy.search(split_search, **RATES)
    states, _ = toy.run(search, 2)
    last = jax.tree.map(lambda leaf: leaf[-1], states)
    if part == "weights":
        assert search.weights(last)["toy"] == last.alpha["toy"]
    else:
        logits = search.predict(last, jnp.zeros((2, 1)))
        np.testing.assert_allclose(logits[0], [last.params["w"], last.alpha["toy"][0, 0]])
