"""From an architecture to operation weights and back."""

import numpy as np
import pytest

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.selection import one_hot, random_genotype, top_edges
from search_spaces import darts


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_round_trip(nodes: int) -> None:
    space = darts.space(classes=2, nodes=nodes)
    rng = np.random.default_rng(nodes)
    for _ in range(10):
        genotype = random_genotype(space, rng)
        weights = one_hot(space.spec, genotype)
        again = top_edges(space, weights)
        for name, group in space.spec.items():
            assert weights[name].shape == (group.edges, len(group.ops))
            assert weights[name].sum() == 2 * nodes
            # All kept edges weigh 1, so their order within a node is lost.
            assert [set(node) for node in again[name].nodes] == [set(node) for node in genotype[name].nodes]
            assert again[name].concat == genotype[name].concat


def test_every_published_edge_lands_in_its_row_and_column() -> None:
    space = darts.space(classes=2)
    genotype = darts.published()["DARTS_V2"]
    weights = one_hot(space.spec, genotype)["reduce"]
    expected = np.zeros((14, 8))
    for row, op in [(0, 1), (1, 1), (4, 3), (3, 1), (5, 1), (7, 3), (11, 3), (10, 1)]:
        expected[row, op] = 1
    np.testing.assert_array_equal(weights, expected)


def test_equal_edges_add_up() -> None:
    space = darts.space(classes=2, nodes=1)
    twice = Cell(nodes=((Edge("sep_conv_3x3", 1), Edge("sep_conv_3x3", 1)),), concat=(2,))
    once = Cell(nodes=((Edge("skip_connect", 0), Edge("skip_connect", 1)),), concat=(2,))
    weights = one_hot(space.spec, Genotype("darts", (("normal", twice), ("reduce", once))))
    assert weights["normal"][1, darts.OPS.index("sep_conv_3x3")] == weights["normal"].sum() == 2


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (Cell(((Edge("sep_conv_7x7", 0), Edge("skip_connect", 1)),), (2,)), "no edge sep_conv_7x7<-0"),
        (Cell(((Edge("skip_connect", 2), Edge("skip_connect", 1)),), (2,)), "no edge skip_connect<-2"),
        (Cell(((Edge("skip_connect", 0),),) * 2, (2,)), "has 1 nodes, got 2"),
        (Cell(((Edge("skip_connect", 0),),), (0, 2)), r"\[2\], got \[0, 2\]"),
    ],
)
def test_what_the_space_does_not_have(cell: Cell, words: str) -> None:
    spec = darts.space(classes=2, nodes=1).spec
    good = Cell(((Edge("skip_connect", 0),),), (2,))
    with pytest.raises(UserError, match=f"reduce cell.*{words}"):
        one_hot(spec, Genotype("darts", (("normal", good), ("reduce", cell))))
    with pytest.raises(UserError, match="expected the cells normal, reduce, got normal"):
        one_hot(spec, Genotype("darts", (("normal", good),)))
