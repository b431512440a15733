"""The path of greatest weight against all paths written out, and what methods make of a space of paths."""

from collections import Counter
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from dnas.genotype import Genotype
from dnas.selection import best_path, one_hot, perturbation, random_genotype, skip_cap, threshold, top_edges
from dnas.selection.perturbation import one_by_one
from dnas.types import Group
from search_spaces import hypercuboid
from search_spaces.hypercuboid.grid import END, GRID, Grid

SMALL = hypercuboid.space(classes=2, channels=2, widths=2, layers=1)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Group, list[float]]:
    """A group whose nodes have any earlier states as sources, and a whole weight for each edge."""
    inputs = draw(st.integers(1, 3))
    nodes, edges = [], 0
    for node in range(draw(st.integers(1, 6))):
        sources = draw(st.lists(st.integers(0, inputs + node - 1), unique=True, min_size=1))
        nodes.append(tuple((edges + place, source) for place, source in enumerate(sources)))
        edges += len(sources)
    strength = draw(st.lists(st.integers(-5, 5), min_size=edges, max_size=edges))
    group = Group(edges, ("a", "b"), tuple(nodes), keep=1, concat=(inputs + len(nodes) - 1,), path=True)
    return group, list(map(float, strength))


def every_path(group: Group, state: int) -> Iterator[tuple[int, ...]]:
    """Yield the edges of every path from an input to `state`."""
    node = state - (group.concat[0] + 1 - len(group.nodes))
    if node < 0:
        yield ()
        return
    for edge, source in group.nodes[node]:
        for before in every_path(group, source):
            yield (*before, edge)


def kept_path(group: Group, strength: list[float]) -> tuple[int, ...]:
    """Return the edges that `best_path` keeps, which must be those of one path, from the last node backwards."""
    kept = best_path(group, strength)
    inputs = group.concat[0] + 1 - len(group.nodes)
    state, edges = group.concat[0], []
    while state >= inputs:
        ((edge, source),) = kept[state - inputs]
        edges.append(edge)
        state = source
    assert sum(map(len, kept)) == len(edges)
    return tuple(reversed(edges))


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_no_path_weighs_more(graph: tuple[Group, list[float]]) -> None:
    group, strength = graph
    paths = list(every_path(group, group.concat[0]))
    found = kept_path(group, strength)
    assert found in paths
    assert sum(strength[edge] for edge in found) == max(sum(strength[edge] for edge in path) for path in paths)


@pytest.mark.parametrize("seed", range(5))
def test_on_a_grid_against_all_of_its_paths(seed: int) -> None:
    group = Grid(layers=2, widths=3).group(("max_pool_3x3", END))
    strength = np.random.default_rng(seed).random(group.edges).tolist()
    paths = list(every_path(group, group.concat[0]))
    assert len(paths) == 3**5
    assert kept_path(group, strength) == max(paths, key=lambda path: sum(strength[edge] for edge in path))


def test_the_greedy_path_is_not_the_best() -> None:
    # From the stems the first step over edge 0 is the best one, from the end the last step over edge 4.
    group = Group(6, ("a", "b"), (((0, 0), (1, 1)), ((2, 0), (3, 1)), ((4, 2), (5, 3))), 1, (4,), path=True)
    assert kept_path(group, [0.5, 0.1, 0.4, 0.1, 0.3, 0.5]) == (2, 5)
    assert kept_path(group, [0.9, 0.1, 0.4, 0.1, 0.3, 0.5]) == (0, 4)


def test_equally_good_paths_take_the_source_listed_first() -> None:
    group = Grid(layers=1, widths=3).group(("max_pool_3x3", END))
    assert {edge % 3 for edge in kept_path(group, [0.25] * group.edges)} == {0}


def test_operations_of_the_path_are_the_strongest_offered() -> None:
    group = SMALL.spec[GRID]
    rows = np.random.default_rng(0).random((group.edges, 2))
    rows[-2:, 0] = 9.0  # A pool cannot lead to the end, however strong.
    genotype = top_edges(SMALL, {GRID: rows})  # type: ignore[dict-item]
    path = hypercuboid.to_path(genotype)
    grid = Grid(1, 2)
    states = [2 * level + width for level, width in enumerate(path.widths)]
    for op, source, state in zip(path.ops, states[:-1], states[1:], strict=True):
        assert op == group.ops[int(np.argmax(rows[grid.row(state, source)]))]


def test_random_architectures_are_uniform_over_all_paths() -> None:
    rng = np.random.default_rng(0)
    counts = Counter(hypercuboid.to_path(random_genotype(SMALL, rng)) for _ in range(3200))
    paths = {
        hypercuboid.Path(widths, ops)
        for widths in product(range(2), repeat=3)
        for ops in product(SMALL.spec[GRID].ops, repeat=2)
    }
    assert set(counts) == paths
    assert chisquare(list(counts.values())).pvalue > 1e-3


def drawn(seed: int) -> Genotype:
    return random_genotype(SMALL, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(4))
def test_other_rules_keep_a_path_too(seed: int) -> None:
    genotype = drawn(seed)
    weights = {name: 0.1 + 0.8 * rows for name, rows in one_hot(SMALL.spec, genotype).items()}
    for select in (top_edges, threshold(0.85), skip_cap()):
        assert select(SMALL, weights) == genotype


@pytest.mark.parametrize("seed", range(4))
def test_perturbation_finds_the_path_that_alone_matters(seed: int) -> None:
    genotype = drawn(seed)
    matters = one_hot(SMALL.spec, genotype)[GRID]
    even = {GRID: np.where(np.array(SMALL.spec[GRID].allowed), 0.5, 0.0)}
    score = one_by_one(lambda weights: float((np.asarray(weights[GRID]) * matters > 0).sum()))
    assert perturbation(score, seed=seed)(SMALL, even) == genotype  # type: ignore[arg-type]
