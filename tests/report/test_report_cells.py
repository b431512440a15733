"""Drawn cells: everything is there, nothing overlaps, nothing is clipped, everything is escaped."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.report import cell_svg
from dnas.report.cells import inputs_of
from dnas.report.layout import LANE, ROW, lay_out

SVG = "{http://www.w3.org/2000/svg}"
OPS = ("sep_conv_3x3", "dil_conv_5x5", "max_pool_3x3", "skip_connect", "none", "conv_7x1_1x7", "x")


@st.composite
def cells(draw, max_nodes=5):
    """A cell with one or two inputs, and how many; edges may be parallel, states unused."""
    inputs = draw(st.integers(1, 2))
    nodes = tuple(
        tuple(
            Edge(draw(st.sampled_from(OPS)), draw(st.integers(0, inputs + i - 1)))
            for _ in range(draw(st.integers(0, 4)))
        )
        for i in range(draw(st.integers(1, max_nodes)))
    )
    states = range(inputs, inputs + len(nodes))
    concat = draw(st.lists(st.sampled_from(states), unique=True, min_size=1).map(sorted))
    return Cell(nodes, tuple(concat)), inputs


def texts(svg):
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def idle(cell, inputs):
    """The nodes that nothing enters and nothing leaves."""
    used = {edge.source for node in cell.nodes for edge in node} | set(cell.concat)
    return {index for index, node in enumerate(cell.nodes) if not node and inputs + index not in used}


def boxes(svg):
    """The operations' boxes as (left, top, right, bottom), in drawing order with their labels."""
    elements = list(ET.fromstring(svg))
    found = []
    for rect, label in pairwise(elements):
        if rect.tag == f"{SVG}rect" and label.tag == f"{SVG}text" and "monospace" in label.get("font-family", ""):
            x, y, w, h = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
            found.append(((x, y, x + w, y + h), label.text))
    return found


def apart(a, b, gap=0.0):
    return a[2] + gap <= b[0] or b[2] + gap <= a[0] or a[3] + gap <= b[1] or b[3] + gap <= a[1]


@given(cells())
@settings(max_examples=40, deadline=None)
def test_shows_every_operation_and_state_once(given_cell):
    cell, inputs = given_cell
    shown = texts(cell_svg(cell, "a cell", inputs))
    ops = [edge.op for node in cell.nodes for edge in node]
    assert sorted(text for text in shown if text in OPS) == sorted(
        ops + ["none"] * ("none" in ops)  # the legend has a family of that name
    )
    numbers = [text for text in shown if text.isdigit()]
    assert sorted(numbers) == sorted(str(inputs + i) for i in set(range(len(cell.nodes))) - idle(cell, inputs))
    ends = [text for text in shown if re.fullmatch(r"ck(-\d)?", text)]
    assert sorted(ends) == sorted(["ck", *(f"ck-{i + 1}" for i in range(inputs))])


@given(cells())
@settings(max_examples=40, deadline=None)
def test_boxes_do_not_overlap_and_hold_their_labels_inside_the_picture(given_cell):
    cell, inputs = given_cell
    svg = cell_svg(cell, "a cell", inputs)
    width, height = map(float, ET.fromstring(svg).get("viewBox").split()[2:])
    found = boxes(svg)
    assert len(found) == sum(map(len, cell.nodes))
    assert all(apart(a, b, gap=4) for (a, _), (b, _) in combinations(found, 2))
    for (left, top, right, bottom), label in found:
        assert 14 * 0.6 * len(label) <= right - left
        assert left >= 0
        assert right <= width
        assert top >= 0
        assert bottom <= height


@given(cells())
@settings(max_examples=60, deadline=None)
def test_no_line_runs_through_a_box(given_cell):
    cell, inputs = given_cell
    layout = lay_out(cell, inputs)
    for depth in range(max(layout.layer) + 1):
        taken = []
        for state, layer in enumerate(layout.layer):
            rows = sum(wire.target == state and wire.op is not None for wire in layout.wires)
            half = ROW * max(1, rows) / 2
            taken += [(layout.y[state] - half, layout.y[state] + half)] * (layer == depth)
        lanes = [y for wire in layout.lanes for layer, y in wire if layer == depth]
        taken += [(y - LANE / 2, y + LANE / 2) for y in lanes]
        taken.sort()
        assert all(a[1] <= b[0] + 1e-6 for a, b in pairwise(taken))


@given(cells())
@settings(max_examples=40, deadline=None)
def test_lines_run_rightwards_through_one_lane_a_layer(given_cell):
    cell, inputs = given_cell
    layout = lay_out(cell, inputs)
    for wire, lanes in zip(layout.wires, layout.lanes, strict=True):
        start, end = layout.layer[wire.source], layout.layer[wire.target]
        assert [layer for layer, _ in lanes] == list(range(start + 1, end))
    for index, node in enumerate(cell.nodes):
        before = max((layout.layer[edge.source] for edge in node), default=0)
        assert layout.layer[inputs + index] == (-1 if index in idle(cell, inputs) else before + 1)


def test_nodes_stand_in_the_order_that_avoids_crossings():
    crossed = Cell(((Edge("x", 1), Edge("x", 1)), (Edge("x", 0), Edge("x", 0))), (2, 3))
    layout = lay_out(crossed, 2)
    assert layout.y[0] < layout.y[1]
    assert layout.y[3] < layout.y[2]


def test_boxes_of_a_node_stand_in_the_order_of_their_sources():
    svg = cell_svg(Cell(((Edge("below", 1), Edge("above", 0)),), (2,)))
    tops = {label: box[1] for box, label in boxes(svg)}
    assert tops["above"] < tops["below"]


def test_names_and_title_are_escaped():
    nasty = "<script>&\"'"
    svg = cell_svg(Cell(((Edge(nasty, 0),),), (2,)), title=f"a {nasty}")
    assert "<script" not in svg
    root = ET.fromstring(svg)
    assert nasty in texts(svg)
    assert root.find(f"{SVG}title").text == f"a {nasty}"
    assert root.get("aria-label") == f"a {nasty}"


def test_colour_follows_the_family():
    cell = Cell(((Edge("sep_conv_3x3", 0), Edge("sep_conv_5x5", 1)), (Edge("dil_conv_3x3", 0),)), (2, 3))
    rects = [e for e in ET.fromstring(cell_svg(cell)).iter(f"{SVG}rect") if e.get("height") == "27.0"]
    colours = [rect.get("fill") for rect in rects]
    assert len(colours) == 3
    assert len(set(colours)) == 2


def test_number_of_inputs_follows_from_the_indices(v2, nb201):
    assert inputs_of(v2) == 2
    assert inputs_of(nb201) == 1
    only_first = Genotype("darts", (("normal", Cell(((Edge("x", 0), Edge("y", 0)),) * 2, (2, 3))),))
    assert inputs_of(only_first) == 2


@pytest.mark.parametrize(
    "cell",
    [
        Cell(((Edge("x", 2),),), (2,)),
        Cell(((Edge("x", -1),),), (2,)),
        Cell(((Edge("x", 0),),), (3,)),
    ],
)
def test_indices_that_make_no_sense_are_told(cell):
    with pytest.raises(UserError, match=r"cannot draw the cell.*expected one of 0 to"):
        cell_svg(cell)
