"""NAS-Bench-201 architectures as text and numbers: inverses of each other, and the published facts."""

from collections import defaultdict
from itertools import pairwise
from math import cos, exp, sin
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.genotype import Cell, Genotype
from search_spaces import nasbench201 as nb
from search_spaces.nasbench201.cells import EDGES
from search_spaces.nasbench201.network import DerivedCell
from search_spaces.nasbench201.strings import from_ops, to_ops

TABLE = Path(__file__).parents[2].parent / "shared" / "data" / "nb201" / "nb201.npz"
needs_table = pytest.mark.skipif(not TABLE.is_file(), reason="the table of NAS-Bench-201 is not on this machine")
PATHS = [(0, 3), (0, 1, 3), (0, 2, 3), (0, 1, 2, 3)]
"""All ways from a cell's input to its output."""
FACTS = {
    0: "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    1: "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
    2: "|avg_pool_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|avg_pool_3x3~0|avg_pool_3x3~1|avg_pool_3x3~2|",
    6111: "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
}
"""Published pairs of index and architecture; the last has the best CIFAR-10 test accuracy, 94.37 %."""


@pytest.fixture(scope="module")
def everything() -> list[Genotype]:
    return list(nb.enumerate_all())


def column(name: str) -> np.ndarray:
    with np.load(TABLE, allow_pickle=False) as table:
        return table[name]


def test_text_and_back(everything: list[Genotype]) -> None:
    texts = [nb.to_string(genotype) for genotype in everything]
    assert len(set(texts)) == len(set(everything)) == 5**6 == 15_625
    assert [nb.from_string(text) for text in texts] == everything
    for genotype in everything[::500]:
        nb.check_genotype(genotype)
        assert Genotype.from_json(genotype.to_json()) == genotype


def test_number_and_back(everything: list[Genotype]) -> None:
    numbers = range(len(everything))
    assert [nb.index(genotype) for genotype in everything] == list(numbers)
    assert [nb.from_index(number) for number in numbers] == everything
    assert [nb.from_index(nb.index(genotype)) for genotype in everything[::-1]] == everything[::-1]


@pytest.mark.parametrize("number", FACTS)
def test_published_pairs(number: int) -> None:
    genotype = nb.from_string(FACTS[number])
    assert nb.from_index(number) == genotype == nb.named(f" {number}\n") == nb.named(f"{FACTS[number]}\n")
    assert nb.index(genotype) == number


def test_an_edge_stands_where_its_target_and_source_say() -> None:
    genotype = nb.from_string("|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|")
    assert [[(edge.op, edge.source) for edge in node] for node in genotype["cell"].nodes] == [
        [("none", 0)],
        [("skip_connect", 0), ("nor_conv_1x1", 1)],
        [("nor_conv_3x3", 0), ("avg_pool_3x3", 1), ("none", 2)],
    ]
    assert (genotype.space, genotype["cell"].concat) == ("nasbench201", (3,))
    assert EDGES == ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
    assert to_ops(genotype) == ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "none")


def test_order_of_edges_in_a_genotype_does_not_matter() -> None:
    genotype = nb.from_index(6111)
    reversed_nodes = tuple(node[::-1] for node in genotype["cell"].nodes)
    mirrored = Genotype("nasbench201", (("cell", Cell(reversed_nodes, (3,))),))
    assert (nb.to_string(mirrored), nb.index(mirrored)) == (FACTS[6111], 6111)
    assert nb.canonical(mirrored) == nb.canonical(genotype)


def test_connected_is_a_path_without_none(everything: list[Genotype]) -> None:
    def search(ops: dict[tuple[int, int], str]) -> bool:
        return any(all(ops[target, source] != "none" for source, target in pairwise(path)) for path in PATHS)

    found = [search(dict(zip(EDGES, to_ops(genotype), strict=True))) for genotype in everything]
    assert [nb.connected(genotype) for genotype in everything] == found
    assert sum(found) == 15_284


def test_canonical_text_has_6466_values(everything: list[Genotype]) -> None:
    assert len({nb.canonical(genotype) for genotype in everything}) == 6_466


def test_cells_with_one_canonical_text_compute_one_function(everything: list[Genotype]) -> None:
    # Operations as functions of numbers, the same on all edges.
    functions = {"skip_connect": lambda x: x, "avg_pool_3x3": sin, "nor_conv_1x1": cos, "nor_conv_3x3": exp}

    def run(genotype: Genotype, x: float) -> float | None:
        """Compute a cell; `None` is a state that no operation reaches."""
        ops = dict(zip(EDGES, to_ops(genotype), strict=True))
        states: list[float | None] = [x]
        for node in (1, 2, 3):
            terms = []
            for source in range(node):
                value = states[source]
                if ops[node, source] != "none" and value is not None:
                    terms.append(functions[ops[node, source]](value))
            # To the published rule, a sum of two or three nothings is a state that is zero.
            states.append(None if node == 1 and not terms else sum(terms))
        return states[-1]

    values = defaultdict(set)
    for genotype in everything:
        values[nb.canonical(genotype)].add(run(genotype, 0.3))
    assert all(max(found) - min(found) < 1e-9 for found in values.values())


ISOMORPHIC = {
    "a skip makes state 1 the same as state 0": (
        "|skip_connect~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|",
        "|skip_connect~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|",
        {
            "edge_2_0_nor_conv_1x1": "edge_2_1_nor_conv_1x1",
            "edge_2_1_nor_conv_3x3": "edge_2_0_nor_conv_3x3",
            "edge_3_0_nor_conv_1x1": "edge_3_1_nor_conv_1x1",
        },
    ),
    "a skip before an operation": (
        "|skip_connect~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|avg_pool_3x3~2|",
        "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|avg_pool_3x3~2|",
        {"edge_2_0_nor_conv_3x3": "edge_2_1_nor_conv_3x3"},
    ),
    "a pool of nothing and a skip of nothing": (
        "|none~0|+|nor_conv_1x1~0|skip_connect~1|+|skip_connect~0|skip_connect~1|nor_conv_3x3~2|",
        "|none~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|",
        {},
    ),
    "skips only": (
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|skip_connect~1|skip_connect~2|",
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|none~1|skip_connect~2|",
        {},
    ),
}
"""Two texts, and where the second cell's submodules find their weights in the first if under another name."""


@pytest.mark.parametrize("case", ISOMORPHIC)
def test_isomorphic_cells_compute_the_same_with_the_same_weights(case: str) -> None:
    first, second, source = ISOMORPHIC[case]
    one, two = (DerivedCell(nb.from_string(text), 3, affine=False) for text in (first, second))
    assert nb.canonical(one.genotype) == nb.canonical(two.genotype)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 6, 3)), jnp.float32)
    variables = jax.jit(lambda: one.init(jax.random.key(1), x, True))()
    expected = jax.eval_shape(lambda: two.init(jax.random.key(2), x, True))
    renamed = {
        collection: {name: variables[collection][source.get(name, name)] for name in tree}
        for collection, tree in expected.items()
    }
    both = [
        jax.jit(lambda tree, cell=cell: cell.apply(tree, x, True, mutable=["batch_stats"])[0])(tree)
        for cell, tree in ((one, variables), (two, renamed))
    ]
    np.testing.assert_allclose(both[0], both[1], rtol=1e-5, atol=1e-5)
    assert np.abs(both[0]).max() > 0.1


def test_canonical_text_tells_operations_and_depth_apart() -> None:
    def text(*ops: str) -> str:
        return nb.canonical(from_ops(ops))

    skip, none, one, three, pool = "skip_connect", "none", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"
    chain = [
        text(first, none, second, none, none, skip) for first in (one, three, pool) for second in (one, three, pool)
    ]
    assert len(set(chain)) == 9
    assert text(one, none, none, skip, none, none) == text(three, none, none, skip, none, none)
    assert text(*[none] * 6) == text(none, none, none, none, three, none)


@needs_table
def test_index_is_the_row_of_the_published_table(everything: list[Genotype]) -> None:
    assert [nb.to_string(genotype) for genotype in everything] == column("arch").astype(str).tolist()
    assert int(column("test200_cifar10").argmax()) == 6111


@needs_table
def test_canonical_text_is_the_published_one(everything: list[Genotype]) -> None:
    assert [nb.canonical(genotype) for genotype in everything] == column("unique_str").astype(str).tolist()
