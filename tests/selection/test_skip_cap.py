"""P-DARTS' cap: the weakest skip connection goes first, and what is left is derived again."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnas.errors import UserError
from dnas.selection import skip_cap, top_edges
from dnas.stopping import skip_count
from dnas.types import Group, SearchSpace
from search_spaces import darts, nasbench201

Make = Callable[..., SearchSpace]
OPS = ("none", "skip_connect", "conv")


def nodes_of(*sizes: int) -> Group:
    """Nodes with so many incoming edges each, of which they keep 2."""
    ends = np.cumsum(sizes)
    nodes = tuple(tuple((int(end) - size + k, k) for k in range(size)) for end, size in zip(ends, sizes, strict=True))
    return Group(int(ends[-1]), OPS, nodes=nodes, keep=2, concat=(2,))


def kept(genotype_cell: object) -> list[list[tuple[str, int]]]:
    return [[(edge.op, edge.source) for edge in node] for node in genotype_cell.nodes]  # type: ignore[attr-defined]


def test_the_weakest_goes_and_its_edge_takes_the_next_operation(space_of: Make) -> None:
    space = space_of(normal=nodes_of(2, 2))
    rows = np.array([[0, 0.6, 0.4], [0, 0.8, 0.2], [0, 0.7, 0.3], [0, 0.9, 0.1]])
    assert kept(skip_cap(2)(space, {"normal": rows})["normal"]) == [
        [("skip_connect", 1), ("conv", 0)],
        [("skip_connect", 1), ("conv", 0)],
    ]
    assert kept(skip_cap(1)(space, {"normal": rows})["normal"]) == [
        [("conv", 0), ("conv", 1)],
        [("skip_connect", 1), ("conv", 0)],
    ]


def test_an_edge_whose_skip_goes_may_lose_its_place(space_of: Make) -> None:
    space = space_of(normal=nodes_of(3))
    rows = np.array([[0, 0.8, 0.1], [0, 0.9, 0.05], [0, 0.3, 0.5]])
    assert kept(skip_cap(2)(space, {"normal": rows})["normal"]) == [[("skip_connect", 1), ("skip_connect", 0)]]
    assert kept(skip_cap(1)(space, {"normal": rows})["normal"]) == [[("skip_connect", 1), ("conv", 2)]]
    # Edge 1 has little else to offer: edge 2 with `conv` and edge 0 with `conv` are stronger.
    assert kept(skip_cap(0)(space, {"normal": rows})["normal"]) == [[("conv", 2), ("conv", 0)]]


def test_a_newly_kept_skip_counts_too(space_of: Make) -> None:
    space = space_of(normal=nodes_of(3))
    # Without its skip, edge 0 loses its place to edge 2, whose strongest is a skip as well.
    rows = np.array([[0, 0.5, 0.1], [0, 0.9, 0.05], [0, 0.4, 0.3]])
    assert kept(skip_cap(1)(space, {"normal": rows})["normal"]) == [[("skip_connect", 1), ("conv", 2)]]


def test_equally_weak_ones_lower_edge_first(space_of: Make) -> None:
    rows = np.array([[0, 0.6, 0.4], [0, 0.6, 0.4]])
    found = skip_cap(1)(space_of(normal=nodes_of(2)), {"normal": rows})
    assert kept(found["normal"]) == [[("skip_connect", 1), ("conv", 0)]]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 8))
def test_the_cap_holds_in_the_normal_cell_only_and_little_caps_change_nothing(seed: int, limit: int) -> None:
    space = darts.space(classes=2)
    rng = np.random.default_rng(seed)
    weights = {name: rng.random((group.edges, 8)) for name, group in space.spec.items()}
    for rows in weights.values():
        rows[:, darts.OPS.index("skip_connect")] += 0.5
    before = {name: rows.copy() for name, rows in weights.items()}
    found, free = skip_cap(limit)(space, weights), top_edges(space, weights)
    darts.check_genotype(found)
    assert skip_count(found) == min(limit, skip_count(free))
    assert found["reduce"] == free["reduce"]
    if skip_count(free) <= limit:
        assert found == free
    for name, rows in before.items():
        np.testing.assert_array_equal(weights[name], rows)


def test_negative_weights_are_capped_like_others(space_of: Make) -> None:
    rows = np.array([[-9, -1, -5], [-9, -2, -4]])
    found = skip_cap(0)(space_of(normal=nodes_of(2)), {"normal": rows})
    assert kept(found["normal"]) == [[("conv", 1), ("conv", 0)]]


def test_other_cells_where_named_or_where_there_is_no_normal_one() -> None:
    space = nasbench201.space(classes=2)
    rows = np.tile([0.1, 0.9, 0.3, 0.2, 0.1], (6, 1))
    rows[2, 1] = 0.95
    found = skip_cap(1)(space, {"cell": rows})
    assert [edge.op for node in found["cell"].nodes for edge in node].count("skip_connect") == 1
    assert found["cell"].nodes[1][1].op == "skip_connect"
    both = darts.space(classes=2)
    weights = {name: np.eye(8)[np.full(14, 3)] for name in ("normal", "reduce")}
    found = skip_cap(0, groups=("reduce",))(both, weights)
    assert (skip_count(found, "normal"), skip_count(found, "reduce")) == (8, 0)


def test_what_cannot_be(space_of: Make) -> None:
    with pytest.raises(UserError, match="at least 0"):
        skip_cap(-1)
    with pytest.raises(UserError, match="has the cells normal, got other"):
        skip_cap(groups=("other",))(space_of(normal=nodes_of(2)), {"normal": np.ones((2, 3))})
    only = Group(2, ("none", "skip_connect"), nodes=(((0, 0), (1, 1)),), keep=2, concat=(2,))
    with pytest.raises(UserError, match="nothing else to keep; raise the limit of 0"):
        skip_cap(0)(space_of(normal=only), {"normal": np.ones((2, 2))})
