"""A cell as an SVG drawing: states as circles, operations as labelled boxes on the lines between them."""

from collections.abc import Iterable
from html import escape

from dnas.genotype import Cell, Genotype
from dnas.report.colours import FAMILIES, family
from dnas.report.layout import Layout, Point, lay_out

MARGIN = 20.0
CURVE = 72.0
"""Width between layers, in which lines bend."""
END = 64.0
"""Width of an input or output box."""
RADIUS = 19.0
STEM = 34.0
"""Width between an operation's box and the circle that it enters."""
BOX = 27.0
LETTER = 8.43
"""Width of a letter of the operation labels: 0.602 em of a 14 px monospaced face."""
INK, GREY, PAPER = "#1b2430", "#8590a0", "#ffffff"
SANS = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"
MONO = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def inputs_of(genotype: Genotype) -> int:
    """Return how many inputs the cells have: the fewest with which every index makes sense.

    The last node of a cell is always used, hence in `concat`, which tells the number of states; an edge from a state
    beyond those of earlier nodes tells it too.
    """
    need = [1]
    for _, cell in genotype.cells:
        if cell.concat:
            need.append(max(cell.concat) - len(cell.nodes) + 1)
        need.extend(edge.source - index + 1 for index, node in enumerate(cell.nodes) for edge in node)
    return max(need)


def input_name(state: int, inputs: int) -> str:
    """Return the name of input `state` of a cell: "c_{k-2}" and "c_{k-1}" where there are two."""
    return f"c_{{k-{inputs - state}}}"


def cell_svg(cell: Cell, title: str = "", inputs: int = 2, averaged: bool = False) -> str:
    """Draw a cell as a stand-alone SVG document.

    Lines run from left to right; the number in a circle is the state's index in the genotype's text form. A node that
    nothing enters and nothing leaves is left out. Classes `ink`, `paper` and `rule` let a page recolour it.

    Args:
        cell: the cell.
        title: heading, drawn and read out by screen readers; none if empty.
        inputs: number of input states; 2 in DARTS, 1 in NAS-Bench-201.
        averaged: whether the output is the mean of the states in `concat`, as in a recurrent cell.

    Raises:
        UserError: where the cell's indices make no sense with that many inputs.
    """
    layout = lay_out(cell, inputs)
    box = max((len(wire.op) for wire in layout.wires if wire.op is not None), default=1) * LETTER + 20
    columns = _columns(layout, box)
    top = MARGIN + (34 if title else 0)
    drawing, right = _drawing(layout, columns, box, top, inputs)
    legend, legend_right = _legend(layout, top + layout.height + 24, "averaged" if averaged else "concatenated")
    heading_right = MARGIN + 10.5 * len(title)
    width, height = max(right, legend_right, heading_right) + MARGIN, top + layout.height + 24 + MARGIN + 6
    label = escape(title or "cell")
    heading = lettering(MARGIN, MARGIN + 16, escape(title), size=18, anchor="start", weight="600") if title else ""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{label}" font-family="{SANS}">',
            f"<title>{label}</title>",
            f"<desc>{escape(_description(layout, inputs, 'averages' if averaged else 'concatenates'))}</desc>",
            f'<rect class="paper" width="100%" height="100%" rx="10" fill="{PAPER}"/>',
            heading,
            *drawing,
            *legend,
            "</svg>",
            "",
        ]
    )


def _columns(layout: Layout, box: float) -> list[tuple[float, float]]:
    """Return the left and right end of each layer."""
    ends = [(MARGIN, MARGIN + END)]
    for depth in range(1, max(layout.layer) + 1):
        left = ends[-1][1] + CURVE
        ends.append((left, left + (END if depth == max(layout.layer) else box + STEM + 2 * RADIUS)))
    return ends


def _drawing(
    layout: Layout, columns: list[tuple[float, float]], box: float, top: float, inputs: int
) -> tuple[list[str], float]:
    lines, boxes, circles = [], [], []
    for wire, row, lanes in zip(layout.wires, layout.rows, layout.lanes, strict=True):
        left = columns[layout.layer[wire.target]][0]
        start = (columns[layout.layer[wire.source]][1], top + layout.y[wire.source])
        path = _path(start, [(columns[depth], top + y) for depth, y in lanes], (left, top + row))
        if wire.op is None:
            lines.append(f'<path class="rule" d="{path}" fill="none" stroke="{GREY}" stroke-width="1.5"/>')
            continue
        colour = FAMILIES[family(wire.op)]
        circle = left + box + STEM
        stem = _curve((left + box, top + row), (circle, top + layout.y[wire.target]))
        dash = ' stroke-dasharray="5 4"' if family(wire.op) == "none" else ""
        lines.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        lines.append(
            f'<path d="M{left + box:.1f} {top + row:.1f}{stem}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
        )
        boxes.append(
            f'<rect x="{left:.1f}" y="{top + row - BOX / 2:.1f}" width="{box:.1f}" height="{BOX}" rx="7" '
            f'fill="{colour}" fill-opacity="0.15" stroke="{colour}" stroke-width="1.5"/>'
        )
        boxes.append(lettering(left + box / 2, top + row + 5, escape(wire.op), size=14, face=MONO))
    output = len(layout.layer) - 1
    for state in layout.states():
        left, right = columns[layout.layer[state]]
        if inputs <= state < output:
            circles.append(_node(right - RADIUS, top + layout.y[state], state))
        else:
            circles.append(_end(left, top + layout.y[state], state, inputs, output))
    return [*lines, *boxes, *circles], columns[-1][1]


def _path(start: Point, lanes: list[tuple[tuple[float, float], float]], end: Point) -> str:
    here, path = start, f"M{start[0]:.1f} {start[1]:.1f}"
    for (left, right), y in lanes:
        path += _curve(here, (left, y)) + f"H{right:.1f}"
        here = (right, y)
    return path + _curve(here, end)


def _curve(start: Point, end: Point) -> str:
    middle = (start[0] + end[0]) / 2
    return f"C{middle:.1f} {start[1]:.1f} {middle:.1f} {end[1]:.1f} {end[0]:.1f} {end[1]:.1f}"


def _node(x: float, y: float, state: int) -> str:
    tip = x - RADIUS
    return (
        f'<path class="ink" d="M{tip:.1f} {y:.1f}l-9 -5v10z" fill="{INK}"/>'
        f'<circle class="paper line" cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}" fill="{PAPER}" stroke="{INK}" '
        f'stroke-width="1.8"/>' + lettering(x, y + 5.5, str(state), size=16, weight="600")
    )


def _end(left: float, y: float, state: int, inputs: int, output: int) -> str:
    """Draw an input or the output; inputs carry their index, to which the genotype's text refers."""
    name = "c_{k}" if state == output else input_name(state, inputs)
    sub = f'c<tspan font-size="12" dy="4">{name[1:].strip("_{}")}</tspan>'
    number = "" if state == output else lettering(left + END / 2, y + 16, f"state {state}", size=12)
    return (
        f'<rect class="paper line" x="{left:.1f}" y="{y - 23:.1f}" width="{END}" height="46" rx="9" fill="{PAPER}" '
        f'stroke="{INK}" stroke-width="1.8"/>'
        + lettering(left + END / 2, y + (5 if state == output else -3), sub, size=17, weight="600")
        + number
    )


def _legend(layout: Layout, y: float, joined: str) -> tuple[list[str], float]:
    used = {family(wire.op) for wire in layout.wires if wire.op is not None}
    parts, x = [], MARGIN
    entries = [(name, colour) for name, colour in FAMILIES.items() if name in used] + [(joined, "")]
    for name, colour in entries:
        if colour:
            parts.append(
                f'<rect x="{x:.1f}" y="{y - 12:.1f}" width="20" height="14" rx="4" fill="{colour}" '
                f'fill-opacity="0.15" stroke="{colour}" stroke-width="1.5"/>'
            )
        else:
            parts.append(f'<path class="rule" d="M{x:.1f} {y - 5:.1f}h20" stroke="{GREY}" stroke-width="1.5"/>')
        parts.append(lettering(x + 27, y, name, size=14, anchor="start"))
        x += 27 + 8 * len(name) + 18
    return parts, x - 18


def lettering(
    x: float, y: float, content: str, *, size: int, anchor: str = "middle", weight: str = "400", face: str = ""
) -> str:
    """Return a text element; `content` is markup, escaped by the caller."""
    font = f' font-family="{face}"' if face else ""
    return (
        f'<text class="ink" x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'font-weight="{weight}" fill="{INK}"{font}>{content}</text>'
    )


def _description(layout: Layout, inputs: int, joins: str) -> str:
    """Say in words what the drawing shows, for who cannot see it."""
    output = len(layout.layer) - 1
    names = {state: input_name(state, inputs) for state in range(inputs)}

    def listed(words: Iterable[str]) -> str:
        return ", ".join(words) or "nothing"

    parts = []
    for state in (state for state in layout.states() if inputs <= state < output):
        edges = (f"{wire.op} of {names.get(wire.source, wire.source)}" for wire in layout.wires if wire.target == state)
        parts.append(f"State {state} adds {listed(edges)}.")
    parts.append(f"The output {joins} {listed(str(w.source) for w in layout.wires if w.target == output)}.")
    return " ".join(parts)
