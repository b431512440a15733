"""The expected cost of the architectures that may be derived, against all of them one by one."""

from itertools import combinations, product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.costs import CostTable
from dnas.regularisers.budget import excess, mean_cost, odds, reach
from dnas.types import Group

OPS = ("none", "a", "b")
SPEC = {
    "kept": Group(3, OPS, nodes=(((0, 0), (1, 1), (2, 2)),), keep=2, concat=(3,)),
    "whole": Group(1, OPS, nodes=(((0, 0),),), keep=None, concat=(1,)),
    "own": Group(2, OPS, nodes=(((0, 0), (1, 1)),), keep=2, allowed=((True, True, False), (False, True, True))),
}
RNG = np.random.default_rng(0)
ALPHA = {name: jnp.asarray(RNG.normal(size=(group.edges, 3)), jnp.float32) for name, group in SPEC.items()}
ROWS = {name: RNG.integers(1, 100, (group.edges, 3)).astype(float) for name, group in SPEC.items()}
TABLE = CostTable(1000.0, ROWS)


def softmax(values: list[float]) -> np.ndarray:
    grown = np.exp(np.asarray(values, float))
    return grown / grown.sum()


def group_mean(name: str) -> tuple[float, float, float]:
    """Return the mean, and the means of the cheapest and the dearest operations, over all kept sets of edges."""
    group, found = SPEC[name], []
    offered = np.ones((group.edges, 3), bool) if group.allowed is None else np.array(group.allowed)
    if group.keep is not None:
        offered[:, 0] = False
    columns = [np.flatnonzero(row).tolist() for row in offered]
    for kept in combinations(range(group.edges), group.keep or group.edges):
        chances = [softmax([float(ALPHA[name][edge][column]) for column in columns[edge]]) for edge in kept]
        mean = sum(
            float(np.prod([own[place] for own, place in zip(chances, places, strict=True)]))
            * sum(ROWS[name][edge][columns[edge][place]] for edge, place in zip(kept, places, strict=True))
            for places in product(*(range(len(columns[edge])) for edge in kept))
        )
        ends = [sum(best(ROWS[name][edge][columns[edge]]) for edge in kept) for best in (min, max)]
        found.append((mean, *ends))
    return tuple(np.mean(found, axis=0))  # type: ignore[return-value]


def test_the_mean_over_all_architectures() -> None:
    means = np.sum([group_mean(name) for name in SPEC], axis=0)
    assert float(mean_cost(TABLE, SPEC, ALPHA)) == pytest.approx(1000 + means[0], rel=1e-6)
    assert reach(TABLE, SPEC) == pytest.approx((1000 + means[1], 1000 + means[2]))


def test_odds_are_shares_of_kept_edges() -> None:
    found = odds(SPEC, ALPHA)
    np.testing.assert_allclose(found["kept"].sum(axis=-1), 2 / 3, rtol=1e-6)
    np.testing.assert_allclose(found["whole"].sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(found["kept"][:, 0], 0)
    assert found["whole"][0, 0] > 0
    np.testing.assert_array_equal(found["own"] > 0, [[False, True, False], [False, True, True]])
    slopes = jax.grad(lambda alpha: mean_cost(TABLE, SPEC, alpha))(ALPHA)
    assert all(np.isfinite(rows).all() for rows in slopes.values())


def test_the_worst_resource_counts_relative_to_its_range() -> None:
    now = float(mean_cost(TABLE, SPEC, ALPHA))
    low, high = reach(TABLE, SPEC)
    double = {"params": TABLE, "macs": CostTable(2000.0, {name: 2 * rows for name, rows in ROWS.items()})}
    inside = {"params": (0.0, now + 1), "macs": (2 * now - 1, np.inf)}
    assert float(excess(SPEC, double, inside)(ALPHA)) == 0
    outside = {**inside, "params": (0.0, now - 8), "macs": (2 * now + 24, np.inf)}
    assert float(excess(SPEC, double, outside)(ALPHA)) == pytest.approx(12 / (high - low), rel=1e-3)


def test_what_cannot_be_reached_is_one_sentence(sentence: Any) -> None:
    low, high = reach(TABLE, SPEC)
    for bounds in ((0.0, low - 1), (high + 1, np.inf)):
        with sentence("params", f"{low:,.0f}", f"{high:,.0f}", "search.max_params"):
            excess(SPEC, {"params": TABLE}, {"params": bounds})
