"""What each option of `compose` changes, by the arithmetic of the solvable problem."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas.hypergradients.first_order import first_order
from dnas.hypergradients.multi_block import multi_block
from dnas.hypergradients.unrolled import unrolled
from dnas.search import compose
from dnas.splitting import split_search

W, ALPHA = -2.0, 2.0
"""Where the problem starts."""
FAST, SLOW = 0.1, 0.05
"""The learning rates of weights and alpha."""


def alphas(states: Any) -> np.ndarray:
    return np.asarray(states.alpha["toy"][:, 0, 0])


def train_slope(w: float, alpha: float) -> float:
    return 2.0 * (w - alpha)


@pytest.fixture
def composed(toy: Any) -> Any:
    return partial(toy.search, compose, hypergradient=first_order())


def test_alpha_moves_first_and_the_weights_at_its_new_value(toy: Any, composed: Any) -> None:
    states, infos = toy.run(composed(), 1)
    alpha = ALPHA - SLOW * (W - 2.0)
    np.testing.assert_allclose(alphas(states), [alpha], rtol=1e-6)
    np.testing.assert_allclose(states.params["w"], [W - FAST * train_slope(W, alpha)], rtol=1e-6)
    np.testing.assert_allclose(infos.valid_loss, [ALPHA * W - 2 * ALPHA + 1], rtol=1e-6)
    np.testing.assert_allclose(infos.train_loss, [(W - alpha) ** 2], rtol=1e-6)


def test_weights_first_moves_alpha_at_the_new_weights(toy: Any, composed: Any) -> None:
    states, infos = toy.run(composed(weights_first=True), 1)
    w = W - FAST * train_slope(W, ALPHA)
    np.testing.assert_allclose(states.params["w"], [w], rtol=1e-6)
    np.testing.assert_allclose(alphas(states), [ALPHA - SLOW * (w - 2.0)], rtol=1e-6)
    np.testing.assert_allclose(infos.train_loss, [(W - ALPHA) ** 2], rtol=1e-6)
    np.testing.assert_allclose(infos.valid_loss, [ALPHA * w - 2 * ALPHA + 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "moving"),
    [
        ({"warm_up": 3}, [False, False, False, True, True, True, True]),
        ({"alpha_every": 3}, [False, False, True, False, False, True, False]),
        ({"warm_up": 3, "alpha_every": 2}, [False, False, False, True, False, True, False]),
        ({"warm_up": 2, "weights_first": True}, [False, False, True, True, True, True, True]),
        ({"warm_up": 2, "hypergradient": None}, [False, False, True, True, True, True, True]),
    ],
    ids=["warm_up", "alpha_every", "both", "weights_first", "joint"],
)
def test_alpha_rests_and_resting_costs_nothing(
    toy: Any, composed: Any, options: dict[str, Any], moving: list[bool]
) -> None:
    steps = len(moving)
    search = composed(alpha_optimizer=optax.adam(SLOW), watched=True, **options)
    states, infos = toy.run(search, steps)
    moved = np.diff(alphas(states), prepend=ALPHA) != 0
    np.testing.assert_array_equal(moved, moving)
    np.testing.assert_array_equal(np.diff(states.params["w"], prepend=W) != 0, True)
    evaluations = steps if options.get("hypergradient", 1) is None else steps + sum(moving)
    assert toy.seen == [True] * evaluations
    assert float(states.stats["count"][-1]) == evaluations
    # A schedule of the optimiser of alpha counts the steps of alpha.
    assert int(states.alpha_opt[0].count[-1]) == sum(moving)
    np.testing.assert_array_equal(states.step, np.arange(steps) + 1)
    resting = ~np.array(moving)
    np.testing.assert_array_equal(infos.valid_loss[resting], infos.train_loss[resting])


def test_warm_up_is_training_at_a_fixed_alpha_and_then_the_plain_search(toy: Any, composed: Any) -> None:
    states, _ = toy.run(composed(warm_up=4), 6)
    w, alpha = W, ALPHA
    for step in range(6):
        alpha -= SLOW * (w - 2.0) if step >= 4 else 0.0
        w -= FAST * train_slope(w, alpha)
        np.testing.assert_allclose([states.params["w"][step], alphas(states)[step]], [w, alpha], rtol=1e-5)


def test_joint_takes_both_gradients_from_one_pass_over_the_training_minibatch(toy: Any, composed: Any) -> None:
    batches = toy.batches(1)
    unused = batches._replace(valid=jax.tree.map(lambda leaf: leaf + 77, batches.valid))
    states, infos = toy.run(composed(hypergradient=None, watched=True), unused)
    slope = train_slope(W, ALPHA)
    np.testing.assert_allclose(states.params["w"], [W - FAST * slope], rtol=1e-6)
    np.testing.assert_allclose(alphas(states), [ALPHA + SLOW * slope], rtol=1e-6)
    assert toy.seen == [True]
    assert float(infos.valid_loss[0]) == float(infos.train_loss[0]) == (W - ALPHA) ** 2


def test_alternating_on_a_single_level_moves_alpha_by_the_training_minibatch(toy: Any, composed: Any) -> None:
    states, _ = toy.run(composed(single_level=True), 1)
    alpha = ALPHA + SLOW * train_slope(W, ALPHA)
    np.testing.assert_allclose(alphas(states), [alpha], rtol=1e-6)
    np.testing.assert_allclose(states.params["w"], [W - FAST * train_slope(W, alpha)], rtol=1e-6)


@pytest.mark.parametrize("hypergradient", [first_order(), None, unrolled()], ids=["bilevel", "joint", "unrolled"])
def test_regularisers_add_their_gradient_and_nothing_else(toy: Any, composed: Any, hypergradient: Any) -> None:
    def of_alpha(alpha: Any, weights: Any) -> jax.Array:
        return 0.5 * jnp.sum(alpha["toy"] ** 2)

    def of_weights(alpha: Any, weights: Any) -> jax.Array:
        return 3.0 * jnp.sum(weights["toy"])

    plain, infos = toy.run(composed(hypergradient=hypergradient), 1)
    states, regularised = toy.run(composed(hypergradient=hypergradient, regularisers=(of_alpha, of_weights)), 1)
    np.testing.assert_allclose(alphas(plain) - alphas(states), [SLOW * (ALPHA + 3.0)], rtol=1e-5)
    np.testing.assert_array_equal(infos.valid_loss, regularised.valid_loss)


def test_the_perturbation_disturbs_the_step_of_the_weights_only(toy: Any, composed: Any) -> None:
    def perturb(key: Any, mixture: Any, loss: Any, step: jax.Array) -> Any:
        slope = jax.grad(lambda rows: loss({"toy": rows}))(mixture["toy"])
        return {"toy": mixture["toy"] + 0.25 * jnp.sign(slope) + step}

    states, infos = toy.run(composed(perturbation=perturb, watched=True), 2)
    w, alpha = W, ALPHA
    for step in range(2):
        alpha -= SLOW * (w - 2.0)
        # The training loss rises with alpha, which is above the weights.
        disturbed = alpha + 0.25 + step
        np.testing.assert_allclose(infos.train_loss[step], (w - disturbed) ** 2, rtol=1e-5)
        w -= FAST * train_slope(w, disturbed)
        np.testing.assert_allclose([states.params["w"][step], alphas(states)[step]], [w, alpha], rtol=1e-5)
    assert sorted(toy.seen) == [False] * 2 + [True] * 4
    assert float(states.stats["count"][-1]) == 4


def test_no_derivative_passes_through_a_perturbation(toy: Any, composed: Any) -> None:
    search = composed(hypergradient=None, perturbation=lambda key, mixture, loss, step: {"toy": 5.0 * mixture["toy"]})
    states, _ = toy.run(search, 1)
    # At five times alpha, but with the derivative of alpha itself.
    slope = train_slope(W, 5 * ALPHA)
    np.testing.assert_allclose(alphas(states), [ALPHA + SLOW * slope], rtol=1e-6)
    np.testing.assert_allclose(states.params["w"], [W - FAST * slope], rtol=1e-6)


def test_a_perturbation_draws_its_own_numbers(toy: Any, composed: Any) -> None:
    drawn: list[Any] = []

    def note(key: jax.Array) -> None:
        jax.debug.callback(lambda data: drawn.append(tuple(np.asarray(data).tolist())), jax.random.key_data(key))

    def weights(key: jax.Array, alpha: Any, state: Any) -> Any:
        note(key)
        return {"toy": alpha["toy"]}

    def perturb(key: jax.Array, mixture: Any, loss: Any, step: Any) -> Any:
        note(key)
        return mixture

    toy.run(composed(relaxation=toy.relaxation(weights=weights), perturbation=perturb), 3)
    assert len(drawn) == len(set(drawn)) == 9


def test_alpha_may_hold_more_than_the_groups(toy: Any, composed: Any) -> None:
    def init(key: Any, spec: Any) -> Any:
        return {"toy": jnp.full((1, 1), ALPHA), "edges": jnp.ones(1)}, ()

    def expected(alpha: Any, state: Any) -> Any:
        return {"toy": alpha["toy"] * alpha["edges"]}

    relaxation = toy.relaxation(init=init, weights=lambda key, *given: expected(*given), expected=expected)
    for hypergradient in (first_order(), unrolled(), multi_block()):
        states, _ = toy.run(composed(relaxation=relaxation, hypergradient=hypergradient), 1)
        assert float(states.alpha["edges"][0, 0]) != 1.0


def test_advance_sees_alpha_before_and_after_and_the_key_of_the_update(toy: Any, composed: Any) -> None:
    keys: list[Any] = []

    def weights(key: jax.Array, alpha: Any, state: Any) -> Any:
        jax.debug.callback(lambda data: keys.append(tuple(data.tolist())), jax.random.key_data(key), ordered=True)
        return {"toy": alpha["toy"]}

    def advance(key: jax.Array, before: Any, after: Any, state: Any) -> Any:
        step = after["toy"] - before["toy"]
        return {"toy": before["toy"] + 2.0 * step}, {"step": step, "key": jax.random.key_data(key)}

    def init(key: Any, spec: Any) -> Any:
        return {"toy": jnp.full((1, 1), ALPHA)}, {"step": jnp.zeros((1, 1)), "key": jax.random.key_data(key)}

    relaxation = toy.relaxation(init=init, weights=weights, advance=advance)
    for options, update in (({}, 0), ({"weights_first": True}, 1), ({"hypergradient": None}, 0)):
        keys.clear()
        states, _ = toy.run(composed(relaxation=relaxation, **options), 1)
        np.testing.assert_allclose(alphas(states), ALPHA + 2.0 * states.relaxation["step"][:, 0, 0], rtol=1e-6)
        assert tuple(states.relaxation["key"][0].tolist()) == keys[update]


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weights_first": {"weights_first": True},
    "resting": {"warm_up": 1, "alpha_every": 2},
    "joint": {"hypergradient": None, "warm_up": 1},
    "memory": {"hypergradient": multi_block(), "alpha_every": 2},
    "perturbed": {"perturbation": lambda key, mixture, loss, step: {"toy": mixture["toy"] + loss(mixture)}},
    "split": {"split": True},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_loop_scan_and_vmap_agree_and_buffers_can_be_given_away(toy: Any, options: dict[str, Any]) -> None:
    options = {"hypergradient": first_order(), **options}
    if options.pop("split", False):
        del options["hypergradient"]
        search = toy.search(split_search, **options)
    else:
        search = toy.search(compose, **options)
    states, infos = toy.run(search, 4)

    keys = jax.random.split(jax.random.key(3), 2)
    start = jax.jit(jax.vmap(lambda key: search.init(key, jnp.zeros((2, 1)))))(keys)
    step = jax.jit(jax.vmap(search.step, in_axes=(0, None)), donate_argnums=0)
    for index in range(4):
        batch = jax.tree.map(lambda leaf, index=index: leaf[index], toy.batches(4))
        start, told = step(start, batch)
        for seed in range(2):
            np.testing.assert_allclose(start.params["w"][seed], states.params["w"][index], rtol=1e-5)
            np.testing.assert_allclose(start.alpha["toy"][seed, 0, 0], alphas(states)[index], rtol=1e-5)
            np.testing.assert_allclose(told.valid_loss[seed], infos.valid_loss[index], rtol=1e-5)


def test_options_out_of_range_are_one_sentence(toy: Any, composed: Any, sentence: Any) -> None:
    with sentence("alpha_every", "0"):
        composed(alpha_every=0)
    with sentence("warm_up", "-1"):
        composed(warm_up=-1)
