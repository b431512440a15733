"""A group of a search space as an SVG drawing: states on a line, an arc for each edge, the operations below.

An arc diagram shows any number of edges without one hiding another, which a layered drawing of all edges does not.
"""

from html import escape

from dnas.genotype import Cell, Edge, Genotype
from dnas.report.cells import GREY, INK, LETTER, MARGIN, MONO, PAPER, SANS, input_name, inputs_of, lettering
from dnas.report.colours import FAMILIES, family
from dnas.types import Group

STEPS = (44.0, 74.0)
"""Between two states, at least and at most."""
ACROSS = 900.0
"""Width that many states come closer together for."""
RISE = 0.42
"""Height of an arc, as a share of its width."""
RADIUS = 19.0
CHIP = 25.0
WIDEST = 740.0
"""Width from which operations begin a new row."""


def group_svg(group: Group, title: str, note: str) -> str:
    """Draw a group as a stand-alone SVG document; of one whose edges enter no node, its operations alone.

    Args:
        group: the group.
        title: its heading.
        note: a line below the heading.
    """
    top = MARGIN + 46.0
    arcs, right, bottom = _arcs(group, top) if group.nodes else ([], 0.0, top)
    boxes, boxes_right, end = chips(group.ops, MARGIN, bottom + 14)
    width = max(right, boxes_right, MARGIN + 10.5 * len(title), MARGIN + 7.5 * len(note)) + MARGIN
    label = escape(title)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{end + MARGIN:.0f}" '
            f'viewBox="0 0 {width:.0f} {end + MARGIN:.0f}" role="img" '
            f'aria-label="{label}" font-family="{SANS}">',
            f"<title>{label}</title>",
            f"<desc>{escape(note)}; operations: {escape(', '.join(group.ops))}</desc>",
            f'<rect class="paper" width="100%" height="100%" rx="10" fill="{PAPER}"/>',
            lettering(MARGIN, MARGIN + 16, label, size=18, anchor="start", weight="600"),
            lettering(MARGIN, MARGIN + 37, escape(note), size=14, anchor="start"),
            *arcs,
            *boxes,
            "</svg>",
            "",
        ]
    )


def _arcs(group: Group, top: float) -> tuple[list[str], float, float]:
    """Return the states and edges, and where the drawing ends to the right and below."""
    cell = Cell(tuple(tuple(Edge("", source) for _, source in incoming) for incoming in group.nodes), group.concat)
    inputs = inputs_of(Genotype("", (("", cell),)))
    pairs = [(source, inputs + node) for node, incoming in enumerate(group.nodes) for _, source in incoming]
    span = max((target - source for source, target in pairs), default=1)
    states = inputs + len(cell.nodes)
    step = min(max(STEPS[0], ACROSS / states), STEPS[1])
    line = top + span * step * RISE / 2 + RADIUS
    middles = [MARGIN + RADIUS + index * step for index in range(states)]
    lines, marks = [], []
    for source, target in pairs:
        x, y = middles[source], middles[target]
        height = (y - x) * RISE * 2 / 3
        lines.append(
            f'<path class="rule" d="M{x:.1f} {line - RADIUS:.1f}C{x:.1f} {line - RADIUS - height:.1f} {y:.1f} '
            f'{line - RADIUS - height:.1f} {y:.1f} {line - RADIUS:.1f}" fill="none" stroke="{GREY}" '
            f'stroke-width="1.6" stroke-opacity="0.8"/>'
        )
    for index, middle in enumerate(middles):
        name = _input(index, inputs) if index < inputs else str(index)
        marks.append(
            f'<circle class="paper line" cx="{middle:.1f}" cy="{line:.1f}" r="{RADIUS}" fill="{PAPER}" '
            f'stroke="{INK}" stroke-width="{2.6 if index in group.concat else 1.4}"'
            + (' stroke-dasharray="4 3"/>' if index < inputs else "/>")
        )
        marks.append(lettering(middle, line + 5, name, size=15, weight="600"))
    return [*lines, *marks], middles[-1] + RADIUS, line + RADIUS


def _input(state: int, inputs: int) -> str:
    head, _, index = input_name(state, inputs).partition("_")
    return f'{head}<tspan font-size="10" dy="3">{index.strip("{}")}</tspan>'


def chips(ops: tuple[str, ...], left: float, top: float) -> tuple[list[str], float, float]:
    """Draw operations as labelled boxes in rows; return them, and where they end to the right and below."""
    parts, x, y, right = [], left, top, left
    for op in ops:
        width = len(op) * LETTER + 20
        if x > left and x + width > left + WIDEST:
            x, y = left, y + CHIP + 8
        colour = FAMILIES[family(op)]
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{CHIP}" rx="7" fill="{colour}" '
            f'fill-opacity="0.15" stroke="{colour}" stroke-width="1.5"/>'
        )
        parts.append(lettering(x + width / 2, y + CHIP / 2 + 5, escape(op), size=14, face=MONO))
        x += width + 8
        right = max(right, x - 8)
    return parts, right, y + CHIP
