"""What every objective promises: what a limit on costs adds to the loss of a search."""

import inspect
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas.objectives
from dnas.types import Penalty

PACKAGE = dnas.objectives
OF_A_UNIT = ("fbnet",)
"""Objectives that depend on the unit of the costs, as published."""
LIMITS = {1: (12.0,), 3: (12.0, 0.4, 3e6)}
SHARES = ((0.6, 0.7, 0.8), (1.3, 1.2, 1.9), (0.5, 1.7, 1.1))
"""Costs below their limits, above, and on both sides."""


@pytest.fixture(params=LIMITS, ids=lambda count: f"{count} limits")
def limits(request: pytest.FixtureRequest) -> tuple[float, ...]:
    return LIMITS[request.param]


def costs_of(limits: tuple[float, ...], shares: tuple[float, ...]) -> Any:
    return np.array(limits) * np.array(shares[: len(limits)])


def state_of(penalty: Penalty) -> Any:
    """Return a state in which multipliers, where there are some, are not 0."""
    return jax.tree.map(lambda leaf: leaf + 0.5, penalty.init())


def close(first: Any, second: Any, rtol: float = 1e-5) -> None:
    np.testing.assert_allclose(np.asarray(first), np.asarray(second), rtol=rtol)


@pytest.mark.parametrize("shares", SHARES, ids=("below", "above", "both"))
def test_gradients_are_those_of_finite_differences(
    factory: Any, limits: tuple[float, ...], shares: tuple[float, ...]
) -> None:
    with jax.enable_x64(True):
        penalty = factory(limits)
        state = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), state_of(penalty))
        loss, costs = jnp.asarray(1.7), jnp.asarray(costs_of(limits, shares))
        total = jax.jit(lambda loss, costs: penalty.total(loss, costs, state))
        of_loss, of_costs = jax.jit(jax.grad(total, argnums=(0, 1)))(loss, costs)
        step = 1e-5
        close(of_loss, (total(loss + step, costs) - total(loss - step, costs)) / (2 * step), rtol=1e-6)
        for place, size in enumerate(costs * step):
            moved = (total(loss, costs.at[place].add(sign * size)) for sign in (1, -1))
            found = (next(moved) - next(moved)) / (2 * size)
            np.testing.assert_allclose(of_costs[place], found, rtol=1e-5, atol=1e-9 / float(size))


def test_more_cost_or_loss_never_lowers_the_total(factory: Any, limits: tuple[float, ...]) -> None:
    penalty = factory(limits)
    state = state_of(penalty)
    for place in range(len(limits)):
        shares = np.ones((41, len(limits)))
        shares[:, place] = np.linspace(1e-3, 4.0, 41)
        totals = jax.vmap(lambda costs: penalty.total(jnp.float32(1.7), costs, state))(
            jnp.asarray(shares * np.array(limits), jnp.float32)
        )
        assert np.isfinite(totals).all()
        assert (np.diff(totals) >= 0).all()
    losses = jnp.linspace(0.01, 5.0, 41)
    costs = jnp.asarray(costs_of(limits, SHARES[2]), jnp.float32)
    assert (np.diff(jax.vmap(lambda loss: penalty.total(loss, costs, state))(losses)) > 0).all()


def test_the_unit_of_costs_does_not_matter(factory: Any, limits: tuple[float, ...], member: str) -> None:
    ours, others = factory(limits), factory([1000 * limit for limit in limits])
    costs = jnp.asarray(costs_of(limits, SHARES[2]), jnp.float32)
    totals = [float(ours.total(jnp.float32(1.7), costs, ours.init()))]
    totals.append(float(others.total(jnp.float32(1.7), 1000 * costs, others.init())))
    if member.rpartition(".")[2] in OF_A_UNIT:
        assert totals[1] > 1.01 * totals[0]
    else:
        close(*totals)
        chex.assert_trees_all_close(
            ours.advance(costs, ours.init()), others.advance(1000 * costs, others.init()), rtol=1e-5
        )


def test_states_are_stable_and_run_under_jit_vmap_and_scan(factory: Any, limits: tuple[float, ...]) -> None:
    penalty = factory(limits)
    rows = jnp.asarray([[costs_of(limits, shares) for shares in SHARES]] * 2, jnp.float32)

    def run(costs: jax.Array) -> Any:
        def step(state: Any, now: jax.Array) -> Any:
            return penalty.advance(now, state), penalty.total(jnp.float32(1.7), now, state)

        return jax.lax.scan(step, penalty.init(), costs)

    states, totals = jax.jit(jax.vmap(run))(rows)
    chex.assert_trees_all_equal_shapes_and_dtypes(jax.tree.map(lambda leaf: leaf[0], states), penalty.init())
    assert totals.shape == (2, 3)
    assert totals.dtype == jnp.float32
    state = penalty.init()
    for place, costs in enumerate(rows[0]):
        close(totals[1, place], penalty.total(jnp.float32(1.7), costs, state))
        state = penalty.advance(costs, state)
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[1], states), state, rtol=1e-5)


def test_a_projection_keeps_the_limits_and_what_is_within_them(factory: Any, limits: tuple[float, ...]) -> None:
    penalty = factory(limits)
    if penalty.project is None:
        return

    def costs(alpha: Any) -> jax.Array:
        return jnp.asarray(limits, jnp.float32) * jnp.mean(jax.nn.softmax(alpha["toy"])[:, 0]) / 0.4

    alpha = {"toy": jnp.array([[2.0, 0.1], [-1.5, 0.3]])}
    project = jax.jit(lambda alpha: penalty.project(alpha, costs))
    drawn = project(alpha)
    assert (costs(alpha) > jnp.asarray(limits)).all()
    assert (costs(drawn) <= jnp.asarray(limits) * (1 + 1e-6)).all()
    chex.assert_trees_all_equal(project(drawn), drawn)
    both = jax.vmap(project)(jax.tree.map(lambda *leaves: jnp.stack(leaves), alpha, drawn))
    chex.assert_trees_all_close(both, jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), drawn), atol=1e-5)


@pytest.mark.parametrize("limits", [(), (0.0,), (3.0, -1.0), (float("nan"),), (float("inf"),)], ids=str)
def test_limits_that_are_not_positive_are_one_sentence(factory: Any, limits: Any, sentence: Any) -> None:
    with sentence("limits", "positive"):
        factory(limits)


def test_senseless_settings_are_one_sentence(factory: Any, sentence: Any) -> None:
    settings = list(inspect.signature(factory).parameters.values())[1:]
    assert all(one.kind is inspect.Parameter.KEYWORD_ONLY for one in settings)
    for one in settings:
        assert one.default is not inspect.Parameter.empty
        if isinstance(one.default, bool):
            continue
        wrong: Any = "nonsense" if isinstance(one.default, str) else -1.0 if one.default > 0 else 1.0
        with sentence(one.name, wrong if isinstance(wrong, str) else f"{wrong:g}"):
            factory([1.0], **{one.name: type(one.default)(wrong)})


def test_costs_without_a_limit_are_refused(factory: Any) -> None:
    penalty = factory([1.0, 2.0])
    if penalty.project is None:
        with pytest.raises(ValueError, match="one for each limit"):
            penalty.total(jnp.float32(1.0), jnp.ones(3), penalty.init())
