"""RC-DARTS: bounded where bounds are given, DARTS where they are not."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas.costs import tables
from dnas.methods.rc_darts import projection
from dnas.regularisers.budget import mean_cost, reach
from search_spaces import darts

SETTINGS = {"epochs": 2, "steps_per_epoch": 12, "alpha_lr": 0.1, "weight_lr": 0.1}
SHAPE = (2, 2, 1)


def costs(small: Any, states: Any) -> dict[str, np.ndarray]:
    """Return the expected costs after each step."""
    found = tables(small.space, SHAPE)
    return {
        resource: np.asarray(jax.vmap(lambda alpha, own=own: mean_cost(own, small.space.spec, alpha))(states.alpha))
        for resource, own in found.items()
    }


@pytest.fixture(scope="module")
def free(small: Any) -> Any:
    return small.run(dnas.darts(small.space, **SETTINGS), 24)


def test_without_bounds_it_is_darts(small: Any, free: Any) -> None:
    same = small.run(dnas.rc_darts(small.space, **SETTINGS), 24)
    np.testing.assert_array_equal(same.alpha["cell"], free.alpha["cell"])


def test_what_is_affordable_stays_to_the_bit(small: Any, free: Any) -> None:
    constraint = projection(small.space, {"params": (0.0, 100_000.0)}, every=1, last=24, steps=20)
    kept = jax.jit(jax.vmap(lambda alpha: constraint(alpha, jnp.asarray(0), SHAPE)))(free.alpha)
    np.testing.assert_array_equal(kept["cell"], free.alpha["cell"])
    # Two programs may round the steps in between in their own ways.
    bounded = small.run(dnas.rc_darts(small.space, **SETTINGS, max_params=100_000, project_every=3), 24)
    np.testing.assert_allclose(bounded.alpha["cell"], free.alpha["cell"], atol=1e-6)


def test_projections_come_every_so_many_steps_and_at_the_end(small: Any, free: Any) -> None:
    least, most = reach(tables(small.space, SHAPE)["params"], small.space.spec)
    tight = round(least + 0.15 * (most - least))
    states = small.run(dnas.rc_darts(small.space, **SETTINGS, max_params=tight, project_every=7), 24)
    found = costs(small, states)["params"]
    assert (costs(small, free)["params"] > tight).all()
    assert (found[[6, 13, 20, 23]] <= tight).all()
    # Up to the first projection it is DARTS.
    np.testing.assert_allclose(states.alpha["cell"][:6], free.alpha["cell"][:6], atol=1e-6)
    assert np.abs(states.alpha["cell"][6] - free.alpha["cell"][6]).max() > 0.01


@pytest.mark.parametrize(
    "bounds",
    [{"max_params": 300, "max_macs": 2500}, {"min_params": 700}, {"min_macs": 20_000, "max_macs": 20_500}],
    ids=["both", "least", "between"],
)
def test_every_bound_holds(bounds: dict[str, int], small: Any) -> None:
    states = small.run(dnas.rc_darts(small.space, **SETTINGS, **bounds, project_every=4), 24)
    found = costs(small, states)
    for name, value in bounds.items():
        side, _, resource = name.partition("_")
        last = found[resource][3::4]
        assert (last <= value).all() if side == "max" else (last >= value).all()


def test_a_budget_out_of_reach_is_one_sentence_with_what_can_be_reached(small: Any, sentence: Any) -> None:
    # Two of three edges, without parameters or with 250, 500 and 750.
    for bounds, words in (
        ({"max_params": 6}, ("at most 6 params", "from 7 to 1,007")),
        ({"min_params": 1008}, ("at least 1,008 params", "from 7 to 1,007", "search.min_params")),
        ({"max_params": 500, "max_macs": 69}, ("at most 69 macs", "from 70 to 36,070", "search.max_macs")),
    ):
        search = dnas.rc_darts(small.space, steps_per_epoch=1, **bounds)
        with sentence(*words):
            search.init(jax.random.key(0), small.example)


def test_senseless_settings_are_one_sentence(sentence: Any) -> None:
    space = darts.space(classes=10)
    for settings, words in (
        ({"max_params": -1}, ("search.max_params", -1)),
        ({"min_macs": 5, "max_macs": 4}, ("search.min_macs is 5", "swap")),
        ({"project_every": 0}, ("project_every", 0)),
        ({"projection_steps": 0}, ("projection_steps", 0)),
    ):
        with sentence(*words):
            dnas.rc_darts(space, steps_per_epoch=1, **settings)
