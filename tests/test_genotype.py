"""Genotypes as JSON and as text, and every kind of file that is not one."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype, load

word = st.text(st.characters(codec="utf-8", exclude_characters=" |;:<,\n\r"), min_size=1, max_size=8)
edge = st.builds(Edge, op=word, source=st.integers(-5, 20))
cell = st.builds(
    Cell,
    nodes=st.lists(st.lists(edge, max_size=3).map(tuple), max_size=4).map(tuple),
    concat=st.lists(st.integers(-5, 20), max_size=4).map(tuple),
)
genotypes = st.builds(
    Genotype,
    space=st.text(max_size=8),
    cells=st.lists(st.tuples(word, cell), max_size=3, unique_by=lambda c: c[0]).map(tuple),
)
SMALL = Genotype(
    "darts",
    (
        ("normal", Cell(((Edge("skip_connect", 0), Edge("sep_conv_3x3", 1)), (Edge("max_pool_3x3", 2),)), (2, 3))),
        ("reduce", Cell(((Edge("avg_pool_3x3", 1),),), (2,))),
    ),
)


@settings(max_examples=60, deadline=None)
@given(genotypes)
def test_json_round_trip(genotype: Genotype) -> None:
    text = json.dumps(genotype.to_json())
    again = Genotype.from_json(json.loads(text))
    assert again == genotype
    assert hash(again) == hash(genotype)
    assert json.dumps(again.to_json()) == text


def parsed(line: str) -> tuple[str, Cell]:
    """Read one line of the text form back."""
    name, _, rest = line.partition(": ")
    nodes, _, concat = rest.rpartition(" ; concat ")
    return name, Cell(
        tuple(
            tuple(
                Edge(op, int(source)) for op, _, source in (word.rpartition("<-") for word in node.split(" ") if word)
            )
            for node in nodes.split(" | ")
        ),
        tuple(int(state) for state in concat.split(",")),
    )


def test_text_form_reads_as_written_by_hand() -> None:
    assert str(SMALL) == (
        "normal: skip_connect<-0 sep_conv_3x3<-1 | max_pool_3x3<-2 ; concat 2,3\nreduce: avg_pool_3x3<-1 ; concat 2"
    )


@settings(max_examples=60, deadline=None)
@given(genotypes.filter(lambda g: all(cell.nodes and cell.concat for _, cell in g.cells)))
def test_text_form_says_everything(genotype: Genotype) -> None:
    assert tuple(parsed(line) for line in str(genotype).split("\n") if line) == genotype.cells


def test_cells_by_name() -> None:
    assert SMALL["reduce"].concat == (2,)
    with pytest.raises(KeyError):
        SMALL["other"]


def test_it_is_frozen() -> None:
    with pytest.raises(AttributeError):
        SMALL.space = "other"  # type: ignore[misc]


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "genotype.json"
    path.write_text(json.dumps(SMALL.to_json()), encoding="utf-8")
    assert load(path) == load(str(path)) == SMALL


def without(key: str) -> dict[str, Any]:
    value = SMALL.to_json()
    del value[key]
    return value


def with_cell(value: Any) -> dict[str, Any]:
    return {**SMALL.to_json(), "cells": {"normal": value}}


def with_nodes(value: Any) -> dict[str, Any]:
    return with_cell({"nodes": value, "concat": [2]})


SHAPES: dict[str, Any] = {
    "a list": [],
    "a number": 3,
    "nothing": None,
    "a word": "DARTS_V2",
    "an empty object": {},
    "no schema": without("schema"),
    "no space": without("space"),
    "no cells": without("cells"),
    "another schema": {**SMALL.to_json(), "schema": "dnas.genotype/9"},
    "a schema that is no word": {**SMALL.to_json(), "schema": ["dnas.genotype/1"]},
    "a space that is no word": {**SMALL.to_json(), "space": 1},
    "cells that are a list": {**SMALL.to_json(), "cells": [["normal", {}]]},
    "cells that are nothing": {**SMALL.to_json(), "cells": None},
    "a cell that is a list": with_cell([]),
    "a cell without nodes": with_cell({"concat": [2]}),
    "a cell without concat": with_cell({"nodes": []}),
    "a concat that is a number": with_cell({"nodes": [], "concat": 2}),
    "a concat of words": with_cell({"nodes": [], "concat": ["2"]}),
    "a concat of fractions": with_cell({"nodes": [], "concat": [2.0]}),
    "nodes that are an object": with_nodes({}),
    "nodes that are a word": with_nodes("skip"),
    "a node that is an object": with_nodes([{}]),
    "an edge that is a word": with_nodes([["skip_connect"]]),
    "an edge that is empty": with_nodes([[[]]]),
    "an edge without a source": with_nodes([[["skip_connect"]]]),
    "an edge with too much": with_nodes([[["skip_connect", 0, 1]]]),
    "an edge that is an object": with_nodes([[{"op": "skip_connect", "source": 0}]]),
    "an edge the other way round": with_nodes([[[0, "skip_connect"]]]),
    "a source that is a word": with_nodes([[["skip_connect", "0"]]]),
    "a source that is true": with_nodes([[["skip_connect", True]]]),
    "a source that is nothing": with_nodes([[["skip_connect", None]]]),
}


def assert_sentence(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 500
    return text


@pytest.mark.parametrize("value", SHAPES.values(), ids=SHAPES.keys())
def test_json_of_another_shape(value: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="genotype: expected"):
        Genotype.from_json(value)
    path = tmp_path / "genotype.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(UserError) as error:
        load(path)
    assert repr(str(path)) in assert_sentence(error)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"DARTS_V2",
        b"{",
        b'{"schema": "dnas.genotype/1",}',
        b"[" * 100_000,
        b"1" * 10_000,
        json.dumps(SMALL.to_json()).encode()[:-1],
    ],
    ids=["empty", "a name", "open", "a comma too many", "too deep", "a huge number", "cut off"],
)
def test_files_that_are_not_json(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "genotype.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is not JSON") as error:
        load(path)
    assert repr(str(path)) in assert_sentence(error)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00{")
    for path in (tmp_path / "missing.json", tmp_path, binary):
        with pytest.raises(UserError, match="cannot read the genotype") as error:
            load(path)
        assert repr(str(path)) in assert_sentence(error)
