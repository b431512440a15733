"""Perturbed operation weights: where they may lie, and that the adversary does harm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.errors import UserError
from dnas.regularisers import adversarial_perturbation, epsilon_schedule, random_perturbation
from dnas.types import Paths, Weights

KEY = jax.random.key(0)
# Compiles faster; the programs run for milliseconds.


def mixture(seed: int = 0, scale: float = 0.3) -> dict[str, jax.Array]:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jax.nn.softmax(jnp.asarray(scale * rng.normal(size=shape), jnp.float32))  # noqa: E731
    return {"normal": draw(5, 4), "reduce": draw(3, 6)}


TARGETS = mixture(7, scale=2.0)


def loss(weights: Weights) -> jax.Array:
    return sum((jnp.square(rows - TARGETS[name]).sum() for name, rows in weights.items()), start=jnp.zeros(()))


def simplex(rows: np.ndarray) -> np.ndarray:
    cut = np.clip(rows, 0, 1)
    return cut / cut.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("rule", [random_perturbation, adversarial_perturbation])
@pytest.mark.parametrize("epsilon", [0.03, 0.3])
def test_rows_stay_on_the_simplex_near_where_they_were(rule: object, epsilon: float) -> None:
    before = mixture()
    moved = jax.jit(lambda key, before: rule(epsilon)(key, before, loss))(KEY, before)  # type: ignore[operator]
    for name, rows in before.items():
        after = np.asarray(moved[name])
        assert (after >= 0).all()
        np.testing.assert_allclose(after.sum(axis=-1), 1, rtol=1e-6)
        assert np.abs(after - rows).max() > epsilon / 4
        # One factor undoes the scaling of a row, so that no entry is further than epsilon from where it was.
        with np.errstate(divide="ignore"):
            least = np.where(after > 0, (rows - epsilon) / after, 0).max(axis=1)
            most = np.where(after > 0, (rows + epsilon) / after, np.inf).min(axis=1)
        assert (least <= most * (1 + 1e-5)).all()
        assert (np.asarray(rows)[after == 0] <= epsilon).all()


def test_random_noise_is_uniform_and_its_own_for_every_group() -> None:
    # Far from the borders, and with so many columns that scaling is a small correction.
    rows = jnp.full((200, 2), 0.5)
    moved = jax.jit(lambda key: random_perturbation(0.2)(key, {"a": rows, "b": rows}, loss))(KEY)
    # With noise u, v the first entry is (0.5 + u) / (1 + u + v): odd in u - v, at most 0.7 / (0.7 + 0.3).
    first = np.asarray(moved["a"][:, 0])
    assert 0.65 < first.max() <= 0.7 + 1e-6
    assert 0.3 - 1e-6 <= first.min() < 0.35
    assert abs(first.mean() - 0.5) < 0.02
    assert abs(np.corrcoef(first, moved["b"][:, 0])[0, 1]) < 0.25


def test_zero_epsilon_changes_nothing() -> None:
    for rule in (random_perturbation, adversarial_perturbation):
        moved = jax.jit(lambda key, rule=rule: rule(0.0)(key, mixture(), loss))(KEY)
        for name, rows in mixture().items():
            np.testing.assert_allclose(moved[name], rows, rtol=1e-6)


def test_the_adversary_takes_the_published_steps() -> None:
    epsilon, steps = 0.1, 7
    centre = {name: np.asarray(rows, np.float64) for name, rows in mixture().items()}
    # The same key gives the same random start.
    point = {
        name: np.asarray(rows, np.float64) for name, rows in random_perturbation(epsilon)(KEY, mixture(), loss).items()
    }
    for _ in range(steps):
        for name, rows in point.items():
            stepped = rows + 2 * epsilon / steps * np.sign(rows - np.asarray(TARGETS[name]))
            point[name] = simplex(centre[name] + np.clip(stepped - centre[name], -epsilon, epsilon))
    moved = jax.jit(lambda key: adversarial_perturbation(epsilon)(key, mixture(), loss))(KEY)
    for name, rows in point.items():
        np.testing.assert_allclose(moved[name], rows, atol=1e-5)


def test_the_adversary_does_more_harm_than_chance() -> None:
    before = float(loss(mixture()))
    keys = jax.random.split(KEY, 8)
    harm = {
        rule: jax.jit(jax.vmap(lambda key, rule=rule: loss(rule(0.1)(key, mixture(), loss))))(keys)
        for rule in (random_perturbation, adversarial_perturbation)
    }
    assert (harm[adversarial_perturbation] > before).all()
    assert harm[adversarial_perturbation].min() > harm[random_perturbation].max()


@pytest.mark.parametrize("sign", [1.0, float("nan")])
def test_where_the_loss_is_not_raised_the_mixture_stays(sign: float) -> None:
    # At the centre the loss is greatest, so that no step can raise it.
    centre = mixture()
    peak = lambda weights: -sign * sum(jnp.abs(rows - centre[name]).sum() for name, rows in weights.items())  # noqa: E731
    before = mixture()
    moved = jax.jit(lambda key, before: adversarial_perturbation(0.1)(key, before, peak))(KEY, before)
    for name, rows in before.items():
        np.testing.assert_array_equal(moved[name], rows)


def test_a_row_of_which_nothing_is_left_stays() -> None:
    rows = jnp.full((4000, 2), 1e-3)
    moved = jax.jit(lambda key: random_perturbation(0.3)(key, {"a": rows}, loss))(KEY)["a"]
    assert np.isfinite(moved).all()
    gone = np.asarray((moved == 1e-3).all(axis=1))
    assert 0.2 < gone.mean() < 0.3
    np.testing.assert_allclose(moved[~gone].sum(axis=1), 1, rtol=1e-6)


def test_it_is_a_constant_to_differentiation_and_the_radius_may_be_traced() -> None:
    def through(rows: jax.Array, epsilon: jax.Array) -> jax.Array:
        return adversarial_perturbation(epsilon)(KEY, {"normal": rows}, loss)["normal"].sum()

    slope = jax.jit(jax.grad(through))(mixture()["normal"], jnp.asarray(0.1))
    np.testing.assert_array_equal(slope, 0)


def test_the_radius_grows_linearly() -> None:
    schedule = jax.jit(epsilon_schedule(50))
    assert float(schedule(0)) == pytest.approx(0.03)
    assert float(schedule(25)) == pytest.approx(0.165)
    assert float(schedule(49)) == pytest.approx(0.03 + 0.27 * 49 / 50)
    assert float(schedule(50)) == float(schedule(60)) == pytest.approx(0.3)


def test_what_cannot_be() -> None:
    with pytest.raises(UserError, match="at least 1 step"):
        adversarial_perturbation(0.1, steps=0)
    paths = {"a": Paths(jnp.ones((2, 3)), jnp.zeros((2, 1), jnp.int32))}
    with pytest.raises(UserError, match="got sampled paths"):
        random_perturbation(0.1)(KEY, paths, loss)
