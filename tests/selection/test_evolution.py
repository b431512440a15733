"""Evolutionary search on spaces whose best architecture is known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dnas.costs import CostTable, cost
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.hardware.charge import charged
from dnas.hardware.limits import Limit
from dnas.hardware.live import connected
from dnas.hardware.model import FITTED, CostModel
from dnas.objectives.hinge import hinge
from dnas.selection import one_hot, single_paths
from dnas.selection.evolution import Evolution, by_rank, effects, evolve
from dnas.selection.within import within
from dnas.types import Group, Paths, SearchSpace
from search_spaces import nasbench201
from search_spaces.hypercuboid.grid import END, Grid

OPS = ("none", "a", "b", "c")
NODES = (((0, 0), (1, 1)), ((2, 0), (3, 1), (4, 2)))
GROUPS = {
    "kept": Group(5, OPS, NODES, keep=2, concat=(2, 3)),
    "whole": Group(5, OPS, NODES, keep=None, concat=(2, 3)),
    "own": Group(5, OPS, NODES, keep=1, allowed=((True, True, False, True),) * 3 + ((False, False, True, True),) * 2),
    "path": Grid(layers=2, widths=3).group(("a", "b", END)),
}
PRICES = np.array([0.0, 0.0, 1.0, 4.0, 0.5])
LIMIT = 9.0


class Sums:
    """Scores that are sums over operations, with all that was asked for."""

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.spec, self.asked = space.spec, list[Genotype]()
        self.rows = {name: rng.normal(size=(group.edges, len(group.ops))) for name, group in self.spec.items()}

    def __call__(self, genotypes: Sequence[Genotype]) -> np.ndarray:
        self.asked += genotypes
        held = [one_hot(self.spec, genotype) for genotype in genotypes]
        return np.array([sum(np.sum(self.rows[name] * np.asarray(one[name])) for name in self.spec) for one in held])


@pytest.fixture(scope="module")
def limited() -> SearchSpace:
    space = nasbench201.space(classes=2, channels=2, cells=1)
    table = CostTable(2.0, {"cell": np.tile(PRICES, (6, 1))})
    model = CostModel("mine", "latency", FITTED, "nasbench201", {"cell": nasbench201.OPS}, table, {}, 1, "float32", "")
    return charged(space, [model], [Limit(0, "mine.latency", LIMIT)], hinge([LIMIT]))


def test_the_best_within_a_limit_is_found_and_none_beyond_it_is_scored(limited: SearchSpace) -> None:
    scores, table = Sums(limited), CostTable(2.0, {"cell": np.tile(PRICES, (6, 1))})
    found = evolve(limited, scores, np.random.default_rng(0), Evolution(population=30, generations=12))
    assert next(iter(found)) == within(limited, scores.rows, [table], [LIMIT])  # type: ignore[arg-type]
    assert len(scores.asked) == len(set(scores.asked)) == len(found) == 30 * 12
    assert max(cost(table, limited.spec, one) for one in found) <= LIMIT
    assert list(found.values()) == sorted(found.values(), reverse=True)
    np.testing.assert_allclose(scores(list(found)), list(found.values()))
    # The sums can be read off the scores, and with them the best within other limits.
    own = effects(limited.spec, found)
    for limit in (4.0, 6.5):
        kept = [within(limited, rows, [table], [limit]) for rows in (own, scores.rows)]  # type: ignore[arg-type]
        assert kept[0] == kept[1]


def test_what_is_known_is_not_scored_again_and_what_is_beyond_the_limits_left_out(limited: SearchSpace) -> None:
    free, table = limited._replace(charge=None), CostTable(2.0, {"cell": np.tile(PRICES, (6, 1))})
    known = evolve(free, Sums(free), np.random.default_rng(0), Evolution(population=60, generations=1))
    scores = Sums(limited)
    found = evolve(limited, scores, np.random.default_rng(1), Evolution(population=10, generations=2), known)
    cheap = {one for one in known if cost(table, free.spec, one) <= LIMIT}
    within_limits = {one for one in cheap if connected(free.spec, one)}
    assert within_limits < cheap < set(known), "a dead network is cheap, and not kept"
    assert set(found) == within_limits | set(scores.asked)
    assert not set(scores.asked) & set(known)


def test_the_seed_decides_everything(limited: SearchSpace) -> None:
    settings = Evolution(population=6, generations=4, parents=2)
    first, again, other = (
        list(evolve(limited, Sums(limited), np.random.default_rng(seed), settings)) for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("name", GROUPS)
def test_a_small_space_is_scored_once_and_its_best_found(name: str, space_of: Any) -> None:
    space = space_of(**{name: GROUPS[name]})
    scores = Sums(space)
    # Of paths there are few; looking for more than there are takes long.
    population = 10 if name == "path" else 40
    found = evolve(space, scores, np.random.default_rng(0), Evolution(population, generations=25))
    free = {name: np.zeros((GROUPS[name].edges, len(GROUPS[name].ops)))}
    best = within(space, scores.rows, [CostTable(0.0, free)], [1.0])
    np.testing.assert_allclose(scores([best])[0], next(iter(found.values())))  # type: ignore[list-item]
    as_weights = {np.asarray(one_hot(space.spec, one)[name]).tobytes() for one in found}
    assert len(as_weights) == len(found), "the order of a node's edges makes no other architecture"


def test_generations_descend_from_the_best(limited: SearchSpace) -> None:
    """With one parent and no two edges drawn anew, children differ from it on few edges."""
    scores = Sums(limited._replace(charge=None))
    space = limited._replace(charge=None)
    evolve(space, scores, np.random.default_rng(0), Evolution(population=20, generations=2, parents=1, mutation=0.2))
    first, second = scores.asked[:20], scores.asked[20:]
    best = one_hot(space.spec, first[int(np.argmax(Sums(space)(first)))])["cell"]
    changed = [int((np.asarray(one_hot(space.spec, one)["cell"]) != best).any(axis=1).sum()) for one in second[:10]]
    assert 1 <= np.mean(changed) < 3


def test_several_scores_are_put_in_order_by_the_sum_of_their_ranks(limited: SearchSpace) -> None:
    """Whatever their units are: any increasing function of a score leaves all as it is."""
    space = limited._replace(charge=None)
    one, other = Sums(space, 0), Sums(space, 1)

    def found(change: Any) -> dict[Genotype, Any]:
        def both(some: Sequence[Genotype]) -> np.ndarray:
            return np.stack([one(some), change(other(some))], axis=1)

        return evolve(space, both, np.random.default_rng(0), Evolution(population=12, generations=6))

    plain, changed = found(lambda scores: scores), found(lambda scores: 1e9 * np.exp(scores))
    assert list(plain) == list(changed)
    values = np.array(list(plain.values()))
    ranks = np.array([[(values[:, m] < row[m]).sum() for m in range(2)] for row in values]).sum(axis=1)
    assert list(ranks) == sorted(ranks, reverse=True)
    np.testing.assert_allclose(list(by_rank(plain).values()), (ranks / 2 + 0.5) / len(plain))


def test_equal_scores_count_half_and_single_ones_as_they_are(limited: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    a, b, c = list(evolve(limited, Sums(limited), rng, Evolution(3, 1)))
    assert by_rank({a: (1.0, 5.0), b: (1.0, 7.0), c: (1.0, 9.0)}) == pytest.approx({a: 1 / 3, b: 0.5, c: 2 / 3})
    assert by_rank({a: -4.0, b: 2.5}) == {a: -4.0, b: 2.5}


def test_paths_weigh_what_the_architecture_does(space_of: Any) -> None:
    space = space_of(kept=GROUPS["kept"], whole=GROUPS["whole"])
    genotypes = list(evolve(space, Sums(space), np.random.default_rng(0), Evolution(4, 1)))
    paths = single_paths(space.spec, genotypes)
    for name, group in space.spec.items():
        own = paths[name]
        assert isinstance(own, Paths)
        assert own.active.shape == (4, group.edges, 1)
        for index, genotype in enumerate(genotypes):
            rows = np.asarray(one_hot(space.spec, genotype)[name])
            np.testing.assert_array_equal(own.weights[index], rows)
            taken = np.take_along_axis(rows, np.asarray(own.active[index]), axis=1)
            assert taken.sum() == rows.sum()


def test_nothing_scored_has_no_effects(limited: SearchSpace) -> None:
    np.testing.assert_array_equal(effects(limited.spec, {})["cell"], np.zeros((6, 5)))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (Evolution(population=0), "population: expected at least 1"),
        (Evolution(generations=0), "generations: expected at least 1"),
        (Evolution(parents=0), "parents: expected at least 1"),
        (Evolution(mutation=0.0), "mutation is 0"),
        (Evolution(mutation=1.5), "mutation is 1.5"),
    ],
)
def test_numbers_out_of_range(settings: Evolution, says: str, limited: SearchSpace) -> None:
    with pytest.raises(UserError, match=says):
        evolve(limited, Sums(limited), np.random.default_rng(0), settings)


def test_a_supernet_that_has_diverged(limited: SearchSpace) -> None:
    with pytest.raises(UserError, match="finite scores"):
        evolve(limited, lambda some: np.full(len(some), np.nan), np.random.default_rng(0), Evolution(2, 1))
