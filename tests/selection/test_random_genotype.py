"""Random architectures are drawn uniformly: chi-square over many draws with a fixed seed."""

from collections import Counter
from dataclasses import replace
from itertools import combinations, cycle
from math import comb

import numpy as np
import pytest
from scipy.stats import chi2, chisquare

from dnas.genotype import Genotype
from dnas.selection import random_genotype, rivals
from search_spaces import darts, nasbench201

DRAWS = 1500
SPACE = darts.space(classes=2, nodes=3, ops=("skip_connect", "none", "max_pool_3x3", "sep_conv_3x3"))
CHOICES = {"skip_connect", "max_pool_3x3", "sep_conv_3x3"}


@pytest.fixture(scope="module")
def cells() -> list[list[tuple[tuple[str, int], ...]]]:
    """Nodes of both cells of every draw."""
    rng = np.random.default_rng(0)
    genotypes = [random_genotype(SPACE, rng) for _ in range(DRAWS)]
    return [
        [tuple((edge.op, edge.source) for edge in node) for node in genotype[name].nodes]
        for genotype in genotypes
        for name in ("normal", "reduce")
    ]


def assert_uniform(counts: Counter, outcomes: set) -> None:
    assert set(counts) <= outcomes
    assert chisquare([counts[outcome] for outcome in sorted(outcomes)]).pvalue > 1e-3


@pytest.mark.parametrize("node", [0, 1, 2])
def test_every_pair_of_edges_is_equally_likely(node: int, cells: list) -> None:
    pairs = Counter(tuple(sorted(source for _, source in cell[node])) for cell in cells)
    outcomes = set(combinations(range(node + 2), 2))
    assert len(outcomes) == comb(node + 2, 2)
    if len(outcomes) > 1:
        assert_uniform(pairs, outcomes)
    else:
        assert set(pairs) == outcomes


@pytest.mark.parametrize("node", [0, 1, 2])
def test_every_pair_of_operations_is_equally_likely(node: int, cells: list) -> None:
    # By source, since the order within a node is that of the weights.
    pairs = Counter(tuple(op for op, _ in sorted(cell[node], key=lambda edge: edge[1])) for cell in cells)
    assert_uniform(pairs, {(first, second) for first in CHOICES for second in CHOICES})


def test_operations_do_not_depend_on_the_edges_kept_beside_them(cells: list) -> None:
    table = np.zeros((len(CHOICES), 4))
    for cell in cells:
        for op, source in cell[2]:
            table[sorted(CHOICES).index(op), source] += 1
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = ((table - expected) ** 2 / expected).sum()
    assert chi2.sf(statistic, (table.shape[0] - 1) * (table.shape[1] - 1)) > 1e-3


def test_the_cells_differ_and_the_seed_decides() -> None:
    first = [random_genotype(SPACE, np.random.default_rng(3)) for _ in range(2)]
    assert first[0] == first[1]
    rng = np.random.default_rng(3)
    drawn = [random_genotype(SPACE, rng) for _ in range(20)]
    assert len(set(drawn)) > 15
    assert any(genotype["normal"] != genotype["reduce"] for genotype in drawn)
    for genotype in drawn:
        darts.check_genotype(genotype)


def test_where_all_edges_are_kept_every_operation_is_equally_likely_on_each_and_none_is_one() -> None:
    space = nasbench201.space(classes=2)
    rng = np.random.default_rng(0)
    cells = [random_genotype(space, rng)["cell"] for _ in range(3000)]
    ops = [tuple(edge.op for node in cell.nodes for edge in node) for cell in cells]
    for edge in range(6):
        assert_uniform(Counter(drawn[edge] for drawn in ops), set(nasbench201.OPS))
    # Independent edges: all pairs of two edges' operations are equally likely too.
    for first, second in combinations(range(6), 2):
        pairs = Counter((drawn[first], drawn[second]) for drawn in ops)
        assert_uniform(pairs, {(one, two) for one in nasbench201.OPS for two in nasbench201.OPS})


def test_architectures_are_uniform_over_the_published_index() -> None:
    space = nasbench201.space(classes=2)
    rng = np.random.default_rng(1)
    numbers = np.array([nasbench201.index(random_genotype(space, rng)) for _ in range(3000)])
    # 25 equal parts of the 15,625; the expected number of different draws is that of drawing with replacement.
    assert chisquare(np.bincount(numbers // 625, minlength=25)).pvalue > 1e-3
    expected = 15_625 * (1 - (1 - 1 / 15_625) ** 3000)
    assert abs(len(set(numbers)) - expected) < 5 * (3000 - expected) ** 0.5


def test_rivals_are_other_networks_than_the_found_one_and_each_other() -> None:
    """The same edges in another order are the same network; where there are too few, those that there are come back."""
    found = random_genotype(SPACE, np.random.default_rng(0))
    turned = Genotype(
        found.space,
        tuple((name, replace(cell, nodes=tuple(node[::-1] for node in cell.nodes))) for name, cell in found.cells),
    )
    assert turned != found
    others = [random_genotype(SPACE, np.random.default_rng(seed)) for seed in (1, 2)]
    drawn = cycle([turned, others[0], found, others[0], others[1]])
    assert rivals(SPACE, found, 2, lambda: next(drawn)) == others
    assert rivals(SPACE, found, 3, lambda: next(drawn)) == others
