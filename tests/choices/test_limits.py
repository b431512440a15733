"""Limits on models whose costs do not add up over their decisions: a choice inside a repeated block."""

from collections.abc import Iterator

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas.costs import differences
from dnas.genotype import Genotype
from dnas.hardware.charge import charged
from dnas.hardware.exact import exact
from dnas.hardware.limits import Limit
from dnas.hardware.machines import MACHINES
from dnas.hardware.measure.operations import parts
from dnas.hardware.model import CostModel
from dnas.hardware.roofline import roofline
from dnas.objectives.hinge import hinge
from dnas.selection import random_genotype, top_edges
from dnas.types import SearchSpace

SHAPE = (2, 2, 1)


class Block(nn.Module):
    @nn.compact
    def __call__(self, x):
        wide = nn.Sequential([nn.Dense(16), nn.relu, nn.Dense(4)])
        return x + dnas.Choice({"wide": wide, "narrow": nn.Dense(4)})(x)


class Net(nn.Module):
    times: tuple[int, ...] = (1, 3)

    @nn.compact
    def __call__(self, x):
        x = dnas.Repeat(Block(), times=self.times, decision="depth")(nn.Dense(4)(x.reshape(len(x), -1)))
        return nn.Dense(2)(x)


def params(genotype: Genotype) -> int:
    """Stem and head, and of each block that is there 4 * 16 + 16 + 16 * 4 + 4, or 4 * 4 + 4."""
    chosen = {name: cell.only for name, cell in genotype.cells}
    blocks = [chosen[f"Repeat_0.block_{number}.Choice_0"] for number in range(int(chosen["depth"] or 0))]
    return 4 * 4 + 4 + 4 * 2 + 2 + sum({"wide": 148, "narrow": 20}[str(one)] for one in blocks)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return dnas.space(Net(), jnp.zeros((2, *SHAPE)))


@pytest.fixture(scope="module")
def model(space: SearchSpace) -> CostModel:
    return exact(space, "params", SHAPE, settings={})


def test_a_table_of_such_costs_is_near_and_says_how_far_it_is_off(space: SearchSpace, model: CostModel) -> None:
    assert model.quality is not None
    assert 0 < model.quality.mape < 1
    assert model.actual is not None
    for seed in range(4):
        genotype = random_genotype(space, np.random.default_rng(seed))
        assert model.actual(genotype) == params(genotype)


def test_differences_are_exact_where_costs_add_up() -> None:
    class Plain(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = dnas.Choice({"wide": nn.Sequential([nn.Dense(8), nn.Dense(4)]), "narrow": nn.Dense(4)})(x)
            return dnas.Choice([nn.Dense(4), nn.relu], decision="last")(x)

    space = dnas.space(Plain(), jnp.zeros((2, 4)))
    table = differences(space, lambda one: {"params": space.build(one).workload((4,)).params})["params"]
    np.testing.assert_array_equal(table.rows["Choice_0"], [[4 * 8 + 8 + 8 * 4 + 4 - 20, 0]])
    np.testing.assert_array_equal(table.rows["last"], [[20, 0]])
    assert table.base == 20


def weights_of(space: SearchSpace, count: int) -> Iterator[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield {name: rng.dirichlet(np.ones(len(group.ops)), 1).astype(np.float32) for name, group in space.spec.items()}


@pytest.mark.parametrize("limit", [50, 70, 178, 230, 474])
def test_what_is_kept_is_within_the_limit_by_its_own_cost(space: SearchSpace, model: CostModel, limit: int) -> None:
    held = charged(space, [model], [Limit(0, "params", limit)], hinge([limit]))
    assert held.charge is not None
    for weights in weights_of(space, 12):
        selected = top_edges(space, weights)  # type: ignore[arg-type]
        found = held.charge.keep(held, weights, selected)  # type: ignore[arg-type]
        assert params(found) <= limit
        if params(selected) <= limit:
            assert found == selected


def test_a_limit_that_no_network_keeps_is_refused(space: SearchSpace, model: CostModel) -> None:
    with pytest.raises(dnas.UserError, match="choose a limit in this range"):
        charged(space, [model], [Limit(0, "params", 49)], hinge([49]))


def test_a_roofline_is_of_the_chosen_network(space: SearchSpace) -> None:
    machine = next(machine for machine in MACHINES if machine.name == "t4")
    estimate = roofline(space, machine, SHAPE, settings={})
    assert estimate.actual is not None
    names = [f"Repeat_0.block_{number}.Choice_0" for number in range(3)]

    def cost(depth: str, *inside: str) -> float:
        choices = {"depth": depth, **dict(zip(names, inside, strict=True))}
        chosen = dnas.choices.derived.genotype_of(space.name, choices)  # type: ignore[attr-defined]
        assert estimate.actual is not None
        return estimate.actual(chosen)

    narrow = cost("1", "narrow", "narrow", "narrow")
    assert cost("1", "narrow", "wide", "wide") == narrow
    assert narrow < cost("1", "wide", "narrow", "narrow") < cost("3", "wide", "wide", "wide")


def test_such_networks_are_not_taken_apart(space: SearchSpace) -> None:
    assert parts(space, {}, SHAPE, 1).calls == {}
