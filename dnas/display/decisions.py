"""Choices that stand alone, as those of a model of one's own: a row for each, with its options as labelled boxes."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from dnas.display.arcs import chips
from dnas.genotype import Cell
from dnas.report.cells import LETTER, MARGIN, MONO, PAPER, SANS, lettering
from dnas.types import Group

ROW = 10.0
"""Between two choices."""


class Decision(NamedTuple):
    """A choice and its options; of a choice that was made, the one that was kept."""

    name: str
    options: tuple[str, ...]


def alone(cell: Cell | Group) -> bool:
    """Return whether a cell, or a group, is a single choice: one edge, into one node."""
    return len(cell.nodes) == 1 and len(cell.nodes[0]) == 1


def decisions_svg(decisions: Sequence[Decision], title: str) -> str:
    """Draw choices, one below the other, as a stand-alone SVG document."""
    names = max(len(one.name) for one in decisions) * LETTER
    left, y = MARGIN + names + 18, MARGIN + 36.0
    parts, right = [], MARGIN + 10.5 * len(title)
    for one in decisions:
        boxes, end, bottom = chips(one.options, left, y)
        parts += [lettering(MARGIN, y + 17, escape(one.name), size=14, anchor="start", face=MONO), *boxes]
        right, y = max(right, end), bottom + ROW
    width, height, label = right + MARGIN, y - ROW + MARGIN, escape(title)
    words = "; ".join(f"{one.name}: {', '.join(one.options)}" for one in decisions)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{label}" font-family="{SANS}">',
            f"<title>{label}</title>",
            f"<desc>{escape(words)}</desc>",
            f'<rect class="paper" width="100%" height="100%" rx="10" fill="{PAPER}"/>',
            lettering(MARGIN, MARGIN + 16, label, size=18, anchor="start", weight="600"),
            *parts,
            "</svg>",
            "",
        ]
    )
