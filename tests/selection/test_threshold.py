"""Fair-DARTS' rule: edges as `top_edges` has them, but only those heavy enough."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnas.errors import UserError
from dnas.selection import threshold, top_edges
from dnas.types import Group, SearchSpace
from search_spaces import darts, nasbench201

Make = Callable[..., SearchSpace]
OPS = ("first", "second", "third")


def one_node(edges: int) -> Group:
    return Group(edges, OPS, nodes=(tuple((edge, edge) for edge in range(edges)),), keep=2, concat=(9,))


def kept(space: SearchSpace, rows: list[list[float]], minimum: float = 0.85) -> list[tuple[str, int]]:
    cell = threshold(minimum)(space, {"cell": np.array(rows, np.float32)})["cell"]
    assert cell.concat == (9,)
    return [(edge.op, edge.source) for edge in cell.nodes[0]]


def test_a_light_edge_is_dropped_and_a_heavy_third_one_does_not_take_its_place(space_of: Make) -> None:
    space = space_of(cell=one_node(3))
    assert kept(space, [[0.1, 0.9, 0.2], [0.84, 0.1, 0.1], [0.3, 0.2, 0.1]]) == [("second", 0)]
    # Weights are independent: two heavy operations on one edge are still one choice.
    assert kept(space, [[0.95, 0.99, 0.2], [0.86, 0.1, 0.1], [0.855, 0.2, 0.1]]) == [("second", 0), ("first", 1)]


def test_the_threshold_itself_is_heavy_enough(space_of: Make) -> None:
    space = space_of(cell=one_node(2))
    for minimum in (0.85, 0.7, 0.1):
        assert kept(space, [[1.0, 0, 0], [0, minimum, 0]], minimum) == [("first", 0), ("second", 1)]
        below = float(np.nextafter(np.float32(minimum), np.float32(0)))
        assert kept(space, [[1.0, 0, 0], [0, below, 0]], minimum) == [("first", 0)]


def test_a_node_without_a_heavy_edge_keeps_its_strongest(space_of: Make) -> None:
    assert kept(space_of(cell=one_node(3)), [[0.2, 0.1, 0.1], [0.1, 0.1, 0.6], [0.5, 0.1, 0.1]]) == [("third", 1)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_what_is_kept_is_what_top_edges_keeps_less_the_light_and_can_be_built(seed: int, minimum: float) -> None:
    space = darts.space(classes=2, nodes=3)
    rng = np.random.default_rng(seed)
    weights = {name: rng.random((group.edges, 8)).astype(np.float32) for name, group in space.spec.items()}
    found, whole = threshold(minimum)(space, weights), top_edges(space, weights)
    darts.check_genotype(found)
    for name, group in space.spec.items():
        for incoming, few, two in zip(group.nodes, found[name].nodes, whole[name].nodes, strict=True):
            heavy = [
                edge
                for edge in two
                if weights[name][incoming[edge.source][0], group.ops.index(edge.op)] >= np.float32(minimum)
            ]
            assert list(few) == (heavy or [two[0]])


def test_at_threshold_zero_it_is_top_edges_and_a_group_that_keeps_all_its_edges_always_is() -> None:
    rng = np.random.default_rng(0)
    space = darts.space(classes=2, nodes=2)
    weights = {name: rng.random((group.edges, 8)) for name, group in space.spec.items()}
    assert threshold(0.0)(space, weights) == top_edges(space, weights)
    assert threshold(1.0)(space, weights) != top_edges(space, weights)
    table = nasbench201.space(classes=2)
    weights = {"cell": rng.random((6, 5))}
    assert threshold(1.0)(table, weights) == top_edges(table, weights)


@pytest.mark.parametrize("minimum", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_weight(minimum: float) -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        threshold(minimum)
