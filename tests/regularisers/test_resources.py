"""Expected cost as an average over architectures, and projections against known ones."""

from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from dnas.errors import UserError
from dnas.regularisers import expected_cost, project, violation

COSTS = {"normal": np.array([[0.0, 100, 400], [0, 50, 900]]), "reduce": np.array([[0.0, 300]])}
# Compiles faster; the programs run for milliseconds.


def alphas(seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.normal(size=table.shape), jnp.float32) for name, table in COSTS.items()}


def softmax(alpha: Any) -> Any:
    return {name: jax.nn.softmax(rows, axis=-1) for name, rows in alpha.items()}


def cost(alpha: Any) -> float:
    return float(expected_cost(softmax(alpha), COSTS))


def distance(one: Any, other: Any) -> float:
    return float(np.sqrt(sum(((one[name] - other[name]) ** 2).sum() for name in one)))


def test_expected_cost_is_the_mean_over_all_architectures() -> None:
    rows = [np.asarray(row, np.float64) for table in softmax(alphas()).values() for row in table]
    tables = [row for table in COSTS.values() for row in table]
    mean = sum(
        np.prod([row[column] for row, column in zip(rows, choice, strict=True)])
        * sum(table[column] for table, column in zip(tables, choice, strict=True))
        for choice in product(*(range(len(row)) for row in rows))
    )
    assert cost(alphas()) == pytest.approx(mean, rel=1e-5)


def test_a_one_hot_architecture_costs_what_its_operations_cost() -> None:
    weights = {"normal": jnp.array([[0.0, 1, 0], [0, 0, 1]]), "reduce": jnp.array([[0.0, 1.0]])}
    assert float(expected_cost(weights, COSTS)) == 100 + 900 + 300


def test_violation() -> None:
    costs = jnp.array([1.0, 2.0, 3.0, 5.0, 8.0])
    np.testing.assert_array_equal(violation(costs, 2.0, 5.0), [1, 0, 0, 0, 3])
    np.testing.assert_array_equal(violation(costs, high=4.0), [0, 0, 0, 1, 4])
    np.testing.assert_array_equal(violation(costs), 0)
    slopes = jax.vmap(jax.grad(partial(violation, low=2.0, high=4.0)))(jnp.array([1.0, 3.0, 5.0]))
    np.testing.assert_array_equal(slopes, [-1, 0, 1])


def test_what_is_affordable_stays_to_the_bit() -> None:
    alpha = alphas()
    now = cost(alpha)
    after = jax.jit(partial(project, costs=COSTS, low=now - 1, high=now + 1))(alpha)
    for name, rows in alpha.items():
        np.testing.assert_array_equal(after[name], rows)


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_a_linear_cost_has_its_projection_in_closed_form(scale: float) -> None:
    table = {"cell": scale * np.array([[1.0, 2.0, 2.0]])}
    point = np.array([[3.0, 1.0, 2.0]])
    # The point costs 9, and so does a step of the table's own direction (squared length 9).
    for low, high, steps in ((0.0, 3.0, -6 / 9), (18.0, 99.0, 1.0), (-99.0, -9.0, -2.0)):
        found = jax.jit(
            partial(project, costs=table, low=low * scale, high=high * scale, weights=lambda alpha: alpha, steps=400)
        )({"cell": jnp.asarray(point, jnp.float32)})
        expected = point + steps * table["cell"] / scale
        np.testing.assert_allclose(found["cell"], expected, atol=0.02)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 250.0), (0.0, 40.0), (1100.0, 2000.0), (1500.0, 1550.0), (500.0, 500.5)]
)
def test_the_nearest_affordable_parameters(low: float, high: float) -> None:
    alpha = alphas()
    after = jax.jit(partial(project, costs=COSTS, low=low, high=high, steps=400))(alpha)
    assert low <= cost(after) <= high
    # The same by sequential quadratic programming, in double precision.
    start = np.concatenate([np.ravel(rows) for rows in alpha.values()]).astype(np.float64)

    def price(flat: np.ndarray) -> float:
        total, offset = 0.0, 0
        for table in COSTS.values():
            rows = flat[offset : offset + table.size].reshape(table.shape)
            rows = np.exp(rows - rows.max(axis=1, keepdims=True))
            total += (rows / rows.sum(axis=1, keepdims=True) * table).sum()
            offset += table.size
        return total / 100

    best = minimize(
        lambda flat: ((flat - start) ** 2).sum(),
        start,
        constraints=[
            {"type": "ineq", "fun": lambda flat: high / 100 - price(flat)},
            {"type": "ineq", "fun": lambda flat: price(flat) - low / 100},
        ],
        options={"maxiter": 500},
    )
    assert best.success
    assert distance(after, alpha) <= 1.03 * np.sqrt(best.fun) + 0.01


def test_many_at_once_and_parameters_without_cost_stay() -> None:
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(alphas(seed) for seed in range(3)))
    stacked["edges"] = jnp.ones((3, 4))
    relax = lambda alpha: softmax({name: alpha[name] for name in COSTS})  # noqa: E731
    after = jax.jit(jax.vmap(partial(project, costs=COSTS, high=200.0, weights=relax)))(stacked)
    np.testing.assert_array_equal(after["edges"], stacked["edges"])
    for index in range(3):
        assert cost({name: after[name][index] for name in COSTS}) <= 200


@pytest.mark.parametrize(
    ("low", "high", "words"), [(-2.0, -1.0, "0 to 1600"), (1601.0, 2000.0, "0 to 1600"), (300.0, 200.0, "swap them")]
)
def test_ranges_that_no_architecture_meets(low: float, high: float, words: str) -> None:
    with pytest.raises(UserError, match=words):
        project(alphas(), COSTS, low=low, high=high)
