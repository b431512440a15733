"""The multi-block estimate over many steps: where it tends to, and how much of the minibatches' noise is left."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.hypergradients.first_order import first_order
from dnas.hypergradients.multi_block import multi_block
from dnas.types import Batch, Batches, Hypergradient

BLOCKS, DAMPING = 2, 0.5


def run(problem: Any, hypergradient: Hypergradient, steps: int, noise: float = 0.0, drift: float = 0.0) -> Any:
    """Return the estimates of many steps, the weights standing still or drifting, and the last state."""
    case = problem.case
    draw = noise * jax.random.normal(jax.random.key(1), (2, steps, 5))
    still = jnp.zeros((steps, 5))

    def step(state: Any, given: Any) -> Any:
        index, train, valid = given
        batches = Batches(Batch(train, train[:3]), Batch(valid, valid[:3]))
        lower = case.lower._replace(params=jax.tree.map(lambda leaf: leaf + drift * index, case.lower.params))
        key = jax.random.fold_in(jax.random.key(2), index)
        estimate, state = hypergradient.estimate(key, case.problem, lower, case.alpha, state, batches)
        return state, estimate.grads

    state = hypergradient.init(case.lower.params, case.alpha)
    given = (jnp.arange(steps), still + draw[0], still + draw[1])
    return jax.jit(lambda state: jax.lax.scan(step, state, given))(state)


def rows(grads: Any) -> np.ndarray:
    return np.concatenate([grads["mix"][:, 0], grads["edges"]], axis=1)


def damped(problem: Any) -> np.ndarray:
    return problem.through(np.linalg.solve(problem.hessian + DAMPING * np.eye(5), problem.v))


def test_the_first_estimate_is_first_order(quadratic: Any, flat: Any) -> None:
    case = quadratic().case
    expected = flat(case.estimate(first_order()).grads)
    np.testing.assert_allclose(flat(case.estimate(multi_block()).grads), expected, rtol=1e-12)


@pytest.mark.parametrize("sampled", [0, 1, 2])
def test_it_tends_to_the_damped_hypergradient(quadratic: Any, sampled: int) -> None:
    problem = quadratic()
    _, grads = run(problem, multi_block(sampled, damping=DAMPING, tracking=0.3), 2000)
    np.testing.assert_allclose(rows(grads)[-1], damped(problem), rtol=1e-6)


def test_a_share_of_the_noise_is_left(quadratic: Any) -> None:
    problem = quadratic()
    spread = {}
    for share in (0.1, 0.99):
        settings = {"damping": DAMPING, "rate": 0.02, "tracking": 0.1, "outer_tracking": share}
        found = rows(run(problem, multi_block(**settings), 3000, noise=0.3)[1])[500:]
        spread[share] = found.var(axis=0).sum()
        np.testing.assert_allclose(found.mean(axis=0), damped(problem), atol=0.1)
    # Of an exponential average with share c, the variance is c / (2 - c) that of its terms.
    assert spread[0.1] < 0.15 * spread[0.99]


def test_a_drift_is_followed_without_lag(quadratic: Any) -> None:
    problem = quadratic()
    drifting = multi_block(damping=DAMPING, rate=1e-9, outer_tracking=0.01)
    grads = rows(run(problem, drifting, 50, drift=0.1)[1])
    case = problem.case
    last = case.lower._replace(params=jax.tree.map(lambda leaf: leaf + 0.1 * 49, case.lower.params))
    expected = case.estimate(first_order(), lower=last).grads
    np.testing.assert_allclose(grads[-1], rows(jax.tree.map(lambda leaf: leaf[None], expected))[0], rtol=1e-6)


def test_only_sampled_blocks_of_the_solution_move_and_none_beyond_its_radius(quadratic: Any) -> None:
    problem = quadratic((-3.0, -2.0, 1.0, 2.0, 3.0))
    state, _ = run(problem, multi_block(1, damping=0.0), 1)
    moved = [bool(np.any(leaf)) for leaf in jax.tree.leaves(state.solution)]
    assert sorted(moved) == [False, True]
    state, _ = run(problem, multi_block(damping=0.0, radius=0.7), 300)
    for block in state.solution.values():
        assert np.sqrt(sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(block))) <= 0.7 + 1e-9


@pytest.mark.parametrize(
    "settings",
    [{"rate": 0.0}, {"damping": -1.0}, {"radius": 0.0}, {"tracking": 1.0}, {"outer_tracking": 0.0}, {"sampled": -1}],
)
def test_arguments_out_of_range_are_one_sentence(sentence: Any, settings: dict[str, Any]) -> None:
    with sentence(*settings):
        multi_block(**settings)


def test_more_samples_than_blocks_are_one_sentence(sentence: Any, quadratic: Any) -> None:
    case = quadratic().case
    with sentence("sampled is 3", "2 blocks"):
        multi_block(3).init(case.lower.params, case.alpha)
