"""Queries of a table, against counting by hand and against each other."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.table import Table

ARRAY = np.array


def genotype(ops: tuple[str, ...], space: str = "toy", concat: tuple[int, ...] = (2,)) -> Genotype:
    """Two nodes: edges 1<-0, 2<-0 and 2<-1."""
    nodes = ((Edge(ops[0], 0),), (Edge(ops[1], 0), Edge(ops[2], 1)))
    return Genotype(space, (("cell", Cell(nodes, concat)),))


ALL = tuple(genotype(ops) for ops in product("abc", repeat=3))
TEST = ARRAY([0.5, 0.9, 0.7, 0.9, 0.1] + [0.3] * 22)


def made(**changes: Any) -> Table:
    values: dict[str, Any] = {
        "name": "Toy",
        "source": "toy.npz",
        "architectures": ALL,
        "accuracies": {
            ("digits", 200, "test"): TEST,
            ("digits", 12, "val"): TEST[::-1],
            ("letters", 200, "test"): np.arange(27) / 100,
        },
        "seconds": {("digits", 12): np.arange(1.0, 28)},
        "macs": {"digits": np.arange(27)},
        "params": {"digits": np.arange(27)},
        "groups": np.arange(27) % 9,
    }
    return Table(**(values | changes))


def test_every_row_is_found_by_its_architecture() -> None:
    table = made()
    assert [table.row(table.genotype(row)) for row in range(27)] == list(range(27))


def test_the_order_of_edges_in_a_node_does_not_matter() -> None:
    for row, one in enumerate(ALL):
        first, second = one["cell"].nodes
        turned = Genotype("toy", (("cell", Cell((first, second[::-1]), (2,))),))
        assert made().row(turned) == row


@pytest.mark.parametrize(
    "other",
    [
        genotype(("a", "b", "d")),
        genotype(("a", "b", "c"), space="darts"),
        genotype(("a", "b", "c"), concat=(1, 2)),
        Genotype("toy", (("cell", Cell(((Edge("a", 0),), (Edge("a", 0), Edge("b", 0))), (2,))),)),
        Genotype("toy", (("cell", Cell(((Edge("a", 0),),), (2,))),)),
        Genotype("toy", ()),
    ],
    ids=["operation", "space", "output", "two edges from one state", "a node less", "no cell"],
)
def test_another_spaces_architecture_is_one_sentence(sentence, other: Genotype) -> None:
    with sentence("Toy", other.space, "a<-0"):
        made().accuracy(other, "digits")


def test_rows_outside_are_one_sentence(sentence) -> None:
    for row in (-1, 27):
        with sentence("Toy", row, "0 to 26"):
            made().genotype(row)


def test_rank_regret_and_percentile_by_counting() -> None:
    table = made()
    order = sorted(TEST, reverse=True)
    for row, one in enumerate(ALL):
        own = TEST[row]
        assert table.accuracy(one, "digits") == own
        assert table.rank(one, "digits") == order.index(own) + 1
        assert table.regret(one, "digits") == order[0] - own
        assert table.percentile(one, "digits") == sum(other < own for other in TEST) / 27


def test_equals_share_the_best_of_their_places() -> None:
    table = made()
    assert [table.rank(ALL[row], "digits") for row in (1, 3, 2, 0, 5, 4)] == [1, 1, 3, 4, 5, 27]


def test_each_query_is_of_the_column_that_was_asked_for() -> None:
    table = made()
    assert table.accuracy(ALL[0], "digits", 12, "val") == 0.3
    assert table.rank(ALL[26], "digits", 12, "val") == 4
    assert table.rank(ALL[26], "letters") == 1
    assert table.cost(ALL[2], "digits", 12) == 3.0
    np.testing.assert_array_equal(table.costs("digits", 12), np.arange(1.0, 28))


def test_a_search_can_be_simulated_where_cost_and_validation_are_known() -> None:
    assert made().priced("digits")
    assert not made().priced("letters")
    assert not made().priced("digits", 200)
    assert not made(accuracies={("digits", 200, "test"): TEST}).priced("digits")


def test_what_a_table_lacks_is_named_in_one_sentence(sentence) -> None:
    table = made()
    assert table.datasets == ("digits", "letters")
    with sentence("Toy", "unknown data set 'digit': did you mean 'digits'", "letters"):
        table.scores("digit")
    with sentence("Toy", "no val accuracy after 200 epochs on digits", "val after 12, test after 200"):
        table.rank(ALL[0], "digits", split="val")
    with sentence("Toy", "no test accuracy after 90 epochs on letters", "test after 200"):
        table.percentile(ALL[0], "letters", 90)
    with sentence("Toy", "no training times of 12 epochs on letters", "12 epochs on digits"):
        table.costs("letters", 12)
    with sentence("Toy", "unknown data set 'leters': did you mean 'letters'"):
        table.cost(ALL[0], "leters", 12)
    with sentence("Toy", "has those of none"):
        made(seconds={}).costs("digits", 12)


def test_isomorphic_architectures_are_those_of_the_same_group(sentence) -> None:
    assert made().equivalent(ALL[11]) == (2, 11, 20)
    with sentence("Toy", "isomorphic", "toy.npz"):
        made(groups=None).equivalent(ALL[11])


def test_columns_of_another_length_are_one_sentence(sentence) -> None:
    for changes in (
        {"seconds": {("digits", 12): np.ones(26)}},
        {"macs": {"digits": np.ones((27, 1))}},
        {"groups": np.arange(28)},
    ):
        with sentence("Toy", "expected (27,)"):
            made(**changes)


def test_an_architecture_twice_is_one_sentence(sentence) -> None:
    with sentence("Toy", "twice", "toy.npz"):
        made(architectures=(*ALL[:26], ALL[0])).row(ALL[0])


def differences(one: Genotype, other: Genotype) -> int:
    pairs = zip(one["cell"].nodes, other["cell"].nodes, strict=True)
    return sum(a != b for node, twin in pairs for a, b in zip(node, twin, strict=True))


@pytest.mark.parametrize("kept", [ALL, ALL[:20], ALL[::4], ALL[:1]], ids=["whole", "20", "every 4th", "one"])
def test_neighbours_are_the_architectures_with_one_other_operation(kept: tuple[Genotype, ...]) -> None:
    table = Table("Toy", "toy.npz", kept, {}, {}, {}, {})
    for row, one in enumerate(kept):
        found = table.neighbours[row]
        expected = [other for other, twin in enumerate(kept) if differences(one, twin) == 1]
        assert sorted(found[found >= 0].tolist()) == expected


def test_each_place_of_the_neighbours_is_one_operation_on_one_edge() -> None:
    table = made()
    for edge in range(3):
        for number, op in enumerate("abc"):
            rows = table.neighbours[:, 3 * edge + number]
            ops = {[e.op for node in ALL[row]["cell"].nodes for e in node][edge] for row in rows[rows >= 0]}
            assert ops == {op}


def test_architectures_with_different_edges_have_no_neighbours(sentence) -> None:
    other = Genotype("toy", (("cell", Cell(((Edge("a", 0),), (Edge("a", 0),)), (2,))),))
    table = Table("Toy", "toy.npz", (ALL[0], other), {}, {}, {}, {})
    with sentence("Toy", "differ in their edges"):
        _ = table.neighbours


def test_a_user_error_is_not_swallowed_by_the_lookup() -> None:
    with pytest.raises(UserError):
        made(architectures=(ALL[0],) * 27).accuracy(ALL[0], "digits")
