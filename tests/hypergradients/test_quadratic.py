"""Each estimate on quadratic problems, in float64, against its closed form: what it declares of its bias."""

from typing import Any

import jax.numpy as jnp
import jax.scipy.sparse.linalg
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from dnas.hypergradients.conjugate_gradient import conjugate_gradient
from dnas.hypergradients.first_order import first_order
from dnas.hypergradients.k_step import k_step
from dnas.hypergradients.neumann import neumann
from dnas.hypergradients.unrolled import unrolled
from dnas.hypergradients.unrolled_fd import unrolled_fd

SOLVED = np.linalg.solve


def close(found: Any, expected: Any, tolerance: float = 1e-10) -> None:
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def series(hessian: np.ndarray, v: np.ndarray, rate: float, terms: int) -> np.ndarray:
    total, power = np.zeros_like(v), v
    for _ in range(terms):
        total, power = total + rate * power, power - rate * hessian @ power
    return total


def test_the_truth_is_the_slope_of_the_outer_loss_at_the_optimal_weights(quadratic: Any, flat: Any) -> None:
    problem = quadratic()
    case = problem.case
    w, unravel = ravel_pytree(case.lower.params)
    alpha, restore = ravel_pytree(case.alpha)

    def value(alpha: Any) -> float:
        moved = restore(alpha)
        change = jnp.asarray(problem.mixed @ (flat(moved) - flat(case.alpha)))
        best = unravel(w + jnp.asarray(SOLVED(problem.hessian, change)))
        return float(case.problem.outer(best, moved, {}, case.batches.valid, None)[0])

    sides = np.eye(3) * 1e-5
    slopes = [(value(alpha + side) - value(alpha - side)) / 2e-5 for side in sides]
    close(flat(restore(jnp.asarray(slopes))), problem.truth, 1e-8)


def test_first_order_leaves_out_all_that_the_weights_depend_on(quadratic: Any, flat: Any) -> None:
    problem = quadratic()
    found = flat(problem.case.estimate(first_order()).grads)
    close(found, problem.d)
    close(problem.truth - found, problem.mixed.T @ SOLVED(problem.hessian, problem.v))


@pytest.mark.parametrize("xi", [0.0, 0.5, 1.0, 2.0])
def test_unrolled_adds_one_step(quadratic: Any, flat: Any, xi: float) -> None:
    problem = quadratic()
    expected = problem.through(xi * problem.rate * problem.v)
    close(flat(problem.case.estimate(unrolled(xi)).grads), expected)
    # A quadratic has no third derivative, so that the finite difference has no error but rounding.
    close(flat(problem.case.estimate(unrolled_fd(xi)).grads), expected, 1e-9)


def test_unrolled_is_of_the_virtual_weights_where_the_present_ones_are_not_optimal(quadratic: Any, flat: Any) -> None:
    problem = quadratic()
    case = problem.case
    w, unravel = ravel_pytree(case.lower.params)
    shift = np.arange(1.0, 6.0)
    virtual = shift - problem.rate * problem.hessian @ shift
    cross = np.array(flat(case.estimate(first_order(), lower=case.lower._replace(params=unravel(w + virtual))).grads))
    expected = cross + problem.mixed.T @ (problem.rate * (problem.v + virtual))
    lower = case.lower._replace(params=unravel(w + shift))
    for hypergradient in (unrolled(), k_step(1), unrolled_fd()):
        found = case.estimate(hypergradient, lower=lower)
        close(flat(found.grads), expected, 1e-8)
        close(found.evaluation.outputs, w + virtual)


@pytest.mark.parametrize("terms", [1, 2, 3, 7])
def test_steps_and_terms_are_the_same_series_at_optimal_weights(quadratic: Any, flat: Any, terms: int) -> None:
    problem = quadratic()
    expected = problem.through(series(problem.hessian, problem.v, problem.rate, terms))
    close(flat(problem.case.estimate(k_step(terms)).grads), expected)
    close(flat(problem.case.estimate(neumann(terms)).grads), expected)


def test_the_series_converges_to_the_truth_at_the_rate_of_the_step(quadratic: Any, flat: Any) -> None:
    problem = quadratic()
    errors = [np.linalg.norm(flat(problem.case.estimate(neumann(n)).grads) - problem.truth) for n in (50, 100, 400)]
    # The smallest eigenvalue is 0.5.
    assert errors[1] < 2 * (1 - problem.rate * 0.5) ** 50 * errors[0]
    assert errors[2] < 1e-7


def test_neumann_and_conjugate_gradient_converge_to_the_same_vector(quadratic: Any, flat: Any) -> None:
    problem = quadratic()
    decay = 0.3
    optimizer = optax.chain(optax.add_decayed_weights(decay), optax.sgd(problem.rate, momentum=0.9))
    lower = problem.case.lower._replace(opt=optimizer.init(problem.case.lower.params))

    def update(grads: Any, opt: Any, params: Any) -> Any:
        updates, opt = optimizer.update(grads, opt, params)
        return optax.apply_updates(params, updates), opt

    decaying = problem.case.problem._replace(update=update)
    expected = problem.through(SOLVED(problem.hessian + decay * np.eye(5), problem.v))
    close(flat(problem.case.estimate(neumann(600), lower=lower, problem=decaying).grads), expected, 1e-9)
    close(flat(problem.case.estimate(conjugate_gradient(8, damping=decay, tolerance=0.0)).grads), expected, 1e-9)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("damping", [0.0, 1.0])
def test_conjugate_gradient_is_that_of_scipy(quadratic: Any, flat: Any, steps: int, damping: float) -> None:
    problem = quadratic()
    matrix = jnp.asarray(problem.hessian + damping * np.eye(5))
    solution, _ = jax.scipy.sparse.linalg.cg(lambda x: matrix @ x, jnp.asarray(problem.v), maxiter=steps, tol=0.0)
    found = problem.case.estimate(conjugate_gradient(steps, damping=damping, tolerance=0.0))
    close(flat(found.grads), problem.through(np.asarray(solution)), 1e-8)
    if steps == 5:
        close(flat(found.grads), problem.through(SOLVED(matrix, problem.v)), 1e-8)


def test_conjugate_gradient_stops_once_it_has_the_solution(quadratic: Any, flat: Any) -> None:
    problem = quadratic((2.0,) * 5)
    for steps in (1, 50):
        found = problem.case.estimate(conjugate_gradient(steps, damping=0.0))
        close(flat(found.grads), problem.truth)


def test_conjugate_gradient_keeps_what_it_has_where_the_curvature_is_not_positive(quadratic: Any, flat: Any) -> None:
    problem = quadratic((-1.0,) * 5)
    close(flat(problem.case.estimate(conjugate_gradient(damping=0.5)).grads), problem.d)
    close(flat(problem.case.estimate(conjugate_gradient(damping=3.0)).grads), problem.through(problem.v / 2.0))
    mixed = quadratic((-4.0, -3.0, 1.0, 2.0, 3.0))
    found = flat(mixed.case.estimate(conjugate_gradient(50, damping=0.0)).grads)
    # Far smaller than what an indefinite system can give.
    assert np.linalg.norm(found) < 10 * np.linalg.norm(mixed.d)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: unrolled(-1.0), "xi"),
        (lambda: unrolled_fd(-1.0), "xi"),
        (lambda: unrolled_fd(radius=0.0), "radius"),
        (lambda: k_step(0), "steps"),
        (lambda: neumann(0), "terms"),
        (lambda: conjugate_gradient(0), "steps"),
        (lambda: conjugate_gradient(damping=-1.0), "damping"),
        (lambda: conjugate_gradient(tolerance=-1.0), "tolerance"),
    ],
)
def test_arguments_out_of_range_are_one_sentence(sentence: Any, make: Any, word: str) -> None:
    with sentence(word):
        make()
