"""Budgets of parameters and multiply-adds for the architectures that a search may derive.

What RC-DARTS (Jin et al., arXiv:1912.12814) counts is recalled: the expectation of an architecture's cost under the
operation weights. Here it is the expectation over architectures that can be derived, so that the budget is one of
networks: what all of them share counts, a node's edge counts by the share of its edges that are kept, and where edges
compete, which leaves `none` out of the choice, so does the expectation.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from dnas.costs import CostTable, can_be_kept
from dnas.errors import UserError
from dnas.regularisers.resources import expected_cost, violation
from dnas.types import Alpha, Array, Group, Spec, Weights

Bounds = Mapping[str, tuple[float, float]]
"""The least and the greatest affordable cost of each resource that is bounded."""


def odds(spec: Spec, alpha: Alpha) -> Weights:
    """Return the probability that each operation is in an architecture, `(edges, ops)` for each group.

    Every node keeps its number of edges at random, and each kept edge draws an operation from the softmax over those
    that can be kept.
    """
    chances = {}
    for name, group in spec.items():
        rows = jnp.where(can_be_kept(group), alpha[name], -jnp.inf)
        chances[name] = jax.nn.softmax(rows, axis=-1) * _shares(group)[:, None]
    return chances


def mean_cost(table: CostTable, spec: Spec, alpha: Alpha) -> Array:
    """Return the expected cost of an architecture under `odds`."""
    return table.base + expected_cost(odds(spec, alpha), table.rows)


def excess(spec: Spec, tables: Mapping[str, CostTable], bounds: Bounds) -> Callable[[Alpha], Array]:
    """Return by how much `mean_cost` lies outside of the bounds: the worst resource's, relative to its reachable range.

    Args:
        spec: the groups.
        tables: of at least the bounded resources.
        bounds: what is affordable.

    Raises:
        UserError: if the bounds of a resource lie outside of its `reach`.
    """
    widths = {}
    for resource, (low, high) in bounds.items():
        cheapest, dearest = reach(tables[resource], spec)
        _check(resource, low, high, cheapest, dearest)
        widths[resource] = max(dearest - cheapest, 1.0)

    def worst(alpha: Alpha) -> Array:
        relative = [
            violation(mean_cost(tables[resource], spec, alpha), low, high) / widths[resource]
            for resource, (low, high) in bounds.items()
        ]
        return jnp.max(jnp.stack(relative))

    return worst


def reach(table: CostTable, spec: Spec) -> tuple[float, float]:
    """Return the least and the greatest `mean_cost` of a space, between which it always lies."""
    ends = [table.base, table.base]
    for name, group in spec.items():
        kept, rows, shares = can_be_kept(group), table.rows[name], _shares(group)
        ends[0] += float(np.sum(shares * np.where(kept, rows, np.inf).min(axis=-1)))
        ends[1] += float(np.sum(shares * np.where(kept, rows, -np.inf).max(axis=-1)))
    return ends[0], ends[1]


def _check(resource: str, low: float, high: float, cheapest: float, dearest: float) -> None:
    if high < cheapest or low > dearest:
        asked = f"at most {high:,.0f}" if high < cheapest else f"at least {low:,.0f}"
        raise UserError(
            f"a budget of {asked} {resource}: at the supernet's size, architectures of the space cost from "
            f"{cheapest:,.0f} to {dearest:,.0f}; choose search.min_{resource} and search.max_{resource} in this range"
        )


def _shares(group: Group) -> np.ndarray:
    """Return `(edges,)`, the share of its node's edges that are kept."""
    shares = np.ones(group.edges)
    for incoming in group.nodes:
        for edge, _ in incoming:
            shares[edge] = 1.0 if group.keep is None else min(1.0, group.keep / len(incoming))
    return shares
