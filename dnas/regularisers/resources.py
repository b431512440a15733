"""Searching within a budget: the expected cost of an architecture and the projection onto what is affordable.

RC-DARTS (Jin et al., arXiv:1912.12814) minimises the validation loss subject to low <= c(alpha) <= high, and does so
by some unconstrained steps followed by a projection, found by gradient descent, again and again. Only the abstract
was at hand; that c is the expectation under the operation weights and that the projection descends on squared
distance plus hinge terms is recalled. The multiplier and the step sizes below are choices of this library.
"""

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from dnas.errors import UserError
from dnas.types import Alpha, Array, Weights

Costs = Mapping[str, np.ndarray]
"""What each operation costs on each edge, `(edges, ops)` for each group, in parameters or multiply-adds."""


def expected_cost(weights: Weights, costs: Costs) -> Array:
    """Return the cost of an architecture whose edges draw their operations with probabilities `weights`.

    Args:
        weights: operation weights `(edges, ops)` of each group, rows on the simplex.
        costs: a table of the same shape for each group; the unit is the result's.
    """
    return sum((jnp.sum(weights[name] * table) for name, table in costs.items()), start=jnp.zeros(()))


def violation(cost: Array | float, low: float = 0.0, high: float = math.inf) -> Array:
    """Return by how much `cost` lies outside of the range from `low` to `high`, in its own unit."""
    return jnp.maximum(0.0, cost - high) + jnp.maximum(0.0, low - cost)


def project(
    alpha: Alpha,
    costs: Costs,
    *,
    low: float = 0.0,
    high: float = math.inf,
    weights: Callable[[Alpha], Weights] | None = None,
    steps: int = 200,
    rate: float = 0.1,
) -> Alpha:
    """Return the nearest architecture parameters whose expected cost is within the range, as `nearest` finds them.

    Args:
        alpha: architecture parameters.
        costs: cost tables.
        low: least affordable cost.
        high: greatest affordable cost.
        weights: `(alpha) -> Weights`; default: a softmax of each row.
        steps: gradient steps.
        rate: first step size.

    Raises:
        UserError: if the range is empty, or, with the default `weights`, no architecture's cost lies in it.
    """
    tables = {name: np.asarray(table) for name, table in costs.items()}
    if low > high:
        raise UserError(f"low and high: expected a range, got {low:g} to {high:g}; swap them")
    if weights is None:
        _check_reachable(tables, low, high)
    relax = weights or _softmax_rows

    def excess(alpha: Alpha) -> Array:
        return violation(expected_cost(relax(alpha), tables), low, high)

    return nearest(alpha, excess, steps=steps, rate=rate)


def nearest(alpha: Alpha, excess: Callable[[Alpha], Array], *, steps: int = 200, rate: float = 0.1) -> Alpha:
    """Return the nearest architecture parameters of which there is no excess, by gradient descent.

    Descends on half the squared distance from `alpha` plus a multiple of `excess`, whose gradient is taken as a unit
    vector, so that no unit of cost matters. The multiple is 1 plus the present distance, more than the pull back to
    `alpha`, so that nothing is out of reach; step sizes fall linearly to zero. Of the points on the way that have no
    excess the nearest is returned (`alpha` itself, to the bit, if it has none), or the last point where all had some.

    Args:
        alpha: architecture parameters.
        excess: `(alpha) -> ()`, 0 where they are affordable, else positive and differentiable, such as a `violation`.
        steps: gradient steps.
        rate: first step size.
    """
    flat, unravel = ravel_pytree(dict(alpha))

    def step(carry: tuple[Array, Array, Array], size: Array) -> tuple[tuple[Array, Array, Array], None]:
        point, best, least = carry
        value, slope = jax.value_and_grad(lambda values: excess(unravel(values)))(point)
        away = point - flat
        distance = jnp.linalg.norm(away)
        better = (value <= 0) & (distance < least)
        best, least = jnp.where(better, point, best), jnp.where(better, distance, least)
        uphill = slope / jnp.maximum(jnp.linalg.norm(slope), jnp.finfo(slope.dtype).tiny)
        outside = jnp.where(value > 0, uphill, 0)
        return (point - size * (away + (1 + distance) * outside), best, least), None

    sizes = rate * (1 - jnp.arange(steps, dtype=flat.dtype) / steps)
    start = (flat, flat, jnp.asarray(jnp.inf, flat.dtype))
    (last, best, least), _ = jax.lax.scan(step, start, sizes)
    return unravel(jnp.where(jnp.isfinite(least), best, last))


def _softmax_rows(alpha: Alpha) -> Weights:
    return {name: jax.nn.softmax(rows, axis=-1) for name, rows in alpha.items()}


def _check_reachable(tables: Costs, low: float, high: float) -> None:
    cheapest = sum(float(table.min(axis=-1).sum()) for table in tables.values())
    dearest = sum(float(table.max(axis=-1).sum()) for table in tables.values())
    if high < cheapest or low > dearest:
        raise UserError(
            f"low and high: expected a range that meets the costs of the space, {cheapest:g} to {dearest:g}, got "
            f"{low:g} to {high:g}"
        )
