"""The top-2 rule on weights small enough to read off the answer."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnas.selection import top_edges
from dnas.types import Group, SearchSpace
from search_spaces import darts, nasbench201

Make = Callable[..., SearchSpace]
OPS = ("none", "first", "second")


def node(edges: int, keep: int | None = 2, ops: tuple[str, ...] = OPS) -> Group:
    """One node that all edges enter, each from the state of its own number."""
    return Group(edges, ops, nodes=(tuple((edge, edge) for edge in range(edges)),), keep=keep, concat=(9,))


def kept(space: SearchSpace, *rows: tuple[float, ...]) -> list[tuple[str, int]]:
    (cell,) = (cell for _, cell in top_edges(space, {"cell": np.array(rows, np.float32)}).cells)
    assert cell.concat == (9,)
    return [(edge.op, edge.source) for edge in cell.nodes[0]]


def test_strongest_edges_stand_in_order_of_decreasing_weight(space_of: Make) -> None:
    rows = ((0.0, 0.3, 0.1), (0.0, 0.2, 0.5), (0.0, 0.1, 0.2), (0.0, 0.4, 0.1))
    assert kept(space_of(cell=node(4)), *rows) == [("second", 1), ("first", 3)]


def test_equal_edges_go_to_the_lower_index(space_of: Make) -> None:
    equal = (0.0, 0.5, 0.25)
    assert kept(space_of(cell=node(4)), equal, equal, equal, equal) == [("first", 0), ("first", 1)]
    weaker = (0.0, 0.25, 0.125)
    assert kept(space_of(cell=node(4)), weaker, equal, weaker, weaker) == [("first", 1), ("first", 0)]
    # The tie is between the strengths, whichever operations they come from.
    assert kept(space_of(cell=node(3)), (0.0, 0.1, 0.4), (0.0, 0.4, 0.1), (0.0, 0.4, 0.0)) == [
        ("second", 0),
        ("first", 1),
    ]


def test_equal_operations_go_to_the_lower_column(space_of: Make) -> None:
    assert kept(space_of(cell=node(2)), (0.0, 0.5, 0.5), (0.0, 0.4, 0.4)) == [("first", 0), ("first", 1)]
    last = node(2, ops=("first", "second", "none"))
    assert kept(space_of(cell=last), (0.5, 0.5, 0.9), (0.1, 0.4, 0.9)) == [("first", 0), ("second", 1)]


def test_none_is_never_kept_and_never_strengthens_an_edge(space_of: Make) -> None:
    rows = ((0.98, 0.01, 0.01), (0.5, 0.2, 0.3), (0.6, 0.1, 0.3), (0.94, 0.03, 0.03))
    assert kept(space_of(cell=node(4)), *rows) == [("second", 1), ("second", 2)]
    assert all(op != "none" for op, _ in kept(space_of(cell=node(2)), (1.0, 0.0, 0.0), (1.0, 0.0, 0.0)))


@pytest.mark.parametrize(("keep", "count"), [(1, 1), (2, 2), (3, 3), (4, 4)])
def test_as_many_edges_as_the_group_keeps(space_of: Make, keep: int, count: int) -> None:
    rows = np.random.default_rng(0).random((4, 3))
    got = kept(space_of(cell=node(4, keep)), *rows)
    best = rows[:, 1:].max(axis=1)
    assert [source for _, source in got] == list(np.argsort(-best))[:count]


def test_a_group_that_keeps_all_edges_has_them_in_order_and_may_choose_none(space_of: Make) -> None:
    rows = ((0.1, 0.2, 0.3), (0.9, 0.05, 0.05), (0.0, 0.8, 0.2), (0.4, 0.4, 0.2))
    space = space_of(cell=node(4, keep=None))
    assert kept(space, *rows) == [("second", 0), ("none", 1), ("first", 2), ("none", 3)]
    last = space_of(cell=node(4, keep=None, ops=("first", "second", "none")))
    # The tie goes to the lower column, wherever `none` stands.
    assert kept(last, *(row[1:] + row[:1] for row in rows)) == [("second", 0), ("none", 1), ("first", 2), ("first", 3)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_each_edge_of_a_group_that_keeps_all_has_its_own_largest_weight(seed: int) -> None:
    space = nasbench201.space(classes=2)
    weights = np.random.default_rng(seed).integers(0, 4, (6, 5)) / 4
    genotype = top_edges(space, {"cell": weights})
    nasbench201.check_genotype(genotype)
    nodes = genotype["cell"].nodes
    assert [[edge.source for edge in node] for node in nodes] == [[0], [0, 1], [0, 1, 2]]
    chosen = [edge.op for node in nodes for edge in node]
    assert chosen == [nasbench201.OPS[column] for column in weights.argmax(axis=1)]


def test_groups_and_nodes_are_chosen_apart(space_of: Make) -> None:
    two = Group(5, OPS, nodes=(((0, 0), (1, 1)), ((2, 0), (3, 1), (4, 2))), keep=2, concat=(2, 3))
    weights = np.zeros((5, 3), np.float32)
    weights[[0, 1, 2, 3, 4], [1, 1, 2, 1, 2]] = [0.1, 0.2, 0.3, 0.9, 0.8]
    genotype = top_edges(space_of(left=two, right=two), {"left": weights, "right": weights[::-1]})
    assert genotype.space == "toy"
    assert [name for name, _ in genotype.cells] == ["left", "right"]
    assert [[(edge.op, edge.source) for edge in node] for node in genotype["left"].nodes] == [
        [("first", 1), ("first", 0)],
        [("first", 1), ("second", 2)],
    ]
    # Reversed rows: node 0 owns 0.8 and 0.9, node 1 the other three.
    assert [[(edge.op, edge.source) for edge in node] for node in genotype["right"].nodes] == [
        [("first", 1), ("second", 0)],
        [("second", 0), ("first", 1)],
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_no_other_choice_of_edges_and_operations_weighs_more(nodes: int, seed: int) -> None:
    space = darts.space(classes=2, nodes=nodes)
    rng = np.random.default_rng(seed)
    # Few levels, so that ties abound.
    weights = {name: rng.integers(0, 4, (group.edges, 8)) / 4 for name, group in space.spec.items()}
    genotype = top_edges(space, weights)
    darts.check_genotype(genotype)
    for name, group in space.spec.items():
        for incoming, chosen in zip(group.nodes, genotype[name].nodes, strict=True):
            values = [weights[name][incoming[edge.source][0], group.ops.index(edge.op)] for edge in chosen]
            assert values == sorted(values, reverse=True)
            assert len({edge.source for edge in chosen}) == 2
            pairs = combinations([weights[name][row, 1:].max() for row, _ in incoming], 2)
            assert sum(values) == max(map(sum, pairs))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(space_of: Make, value: float) -> None:
    with pytest.raises(ValueError, match=r"'cell'.*finite"):
        kept(space_of(cell=node(2)), (0.0, 0.5, 0.5), (0.0, value, 0.5))


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (3,), (1, 3, 3)])
def test_weights_of_another_shape_are_refused(space_of: Make, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(3, 3\), got \("):
        top_edges(space_of(cell=node(3)), {"cell": np.zeros(shape)})
