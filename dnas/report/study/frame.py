"""The frame of a picture: a plotting area with an accuracy axis on its left and labelled landmarks on its right."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from dnas.report.study.look import Look, mark, stroke
from dnas.report.study.scale import Scale, tick_label

LINE = 1.25
"""Height of a line of text, in font sizes."""
Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """A picture's size and its plotting area, in the picture's units.

    Attributes:
        width: of the picture.
        height: of the picture.
        right: width kept free for the landmarks' labels.
        letters: how many letters fit on a line of such a label.
        kind: class of the picture: `wide` and `narrow` pictures stand in for each other by the page's width.
        font: size of the text.
    """

    width: float
    height: float
    right: float = 12.0
    letters: int = 0
    kind: str = ""
    font: float = 12.5
    left: float = 44.0
    top: float = 12.0
    bottom: float = 44.0

    def x(self, share: float) -> float:
        """Return the horizontal place of a share of the plotting area's width."""
        return self.left + share * (self.width - self.left - self.right)

    def y(self, share: float) -> float:
        """Return the vertical place of a share of the plotting area's height, 0 at the bottom."""
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)

    def text(self, x: float, y: float, content: str, anchor: str = "middle") -> str:
        """Return plain text."""
        place = f'x="{x:.1f}" y="{y:.1f}" font-size="{self.font:g}" text-anchor="{anchor}"'
        return f"<text {place}>{escape(content)}</text>"


WIDE = Frame(1040, 510, right=262, letters=37, kind="wide", font=13)
NARROW = Frame(370, 430, right=32, letters=2, kind="narrow", left=34)
HALF = Frame(440, 270, left=38)


def twice(draw: Callable[[Frame, Sequence[tuple[float, str]]], str], marks: Sequence[tuple[float, str]]) -> str:
    """Return a picture for wide pages, and one for phones whose landmarks have letters that a list below explains.

    Args:
        draw: draws the picture into a frame with landmarks, `(accuracy, label)`.
        marks: the landmarks.
    """
    letters = [(value, chr(ord("A") + index % 26)) for index, (value, _) in enumerate(marks)]
    items = "".join(
        f"<li>{letter}: {escape(label)}</li>" for (_, letter), (_, label) in zip(letters, marks, strict=True)
    )
    listed = f'<ul class="marks narrow">{items}</ul>' if marks else ""
    return draw(WIDE, marks) + draw(NARROW, letters) + listed


def svg(frame: Frame, label: str, content: Iterable[str]) -> str:
    """Return the picture; `label` says what it shows to screen readers."""
    kind = f"picture {frame.kind}".strip()
    size = f"{frame.width:g} {frame.height:g}"
    inner = "\n".join(part for part in content if part)
    return f'<svg class="{kind}" viewBox="0 0 {size}" role="img" aria-label="{escape(label)}">\n{inner}\n</svg>'


def axes(frame: Frame, scale: Scale, ticks: Sequence[tuple[float, str]], title: str) -> str:
    """Draw the accuracy axis of `scale` and a horizontal axis with `ticks`, `(share, label)`."""
    left, right, low, high = frame.x(0), frame.x(1), frame.y(0), frame.y(1)
    parts = []
    for value in scale.ticks(1.7 * frame.font / (low - high)):
        y = frame.y(scale.place(value))
        parts.append(f'<path class="grid" d="M{left:.1f} {y:.1f}H{right:.1f}"/>')
        parts.append(frame.text(left - 6, y + 0.35 * frame.font, tick_label(value), "end"))
    for share, label in ticks:
        x = frame.x(share)
        parts.append(f'<path class="grid" d="M{x:.1f} {low:.1f}V{high:.1f}"/>')
        parts.append(frame.text(x, low + 1.4 * frame.font, label))
    parts.append(f'<path class="frame" d="M{left:.1f} {high:.1f}V{low:.1f}H{right:.1f}"/>')
    parts.append(frame.text((left + right) / 2, frame.height - 6, title))
    return "\n".join(parts)


def landmarks(frame: Frame, scale: Scale, marks: Sequence[tuple[float, str]]) -> str:
    """Draw a broken line at each `(accuracy, label)` and its label on the right, moved where labels would overlap."""
    if not marks:
        return ""
    ordered = sorted(marks, reverse=True)
    blocks = [textwrap.wrap(label, max(1, frame.letters)) for _, label in ordered]
    lines = [frame.y(scale.place(value)) for value, _ in ordered]
    heights = [LINE * frame.font * len(block) + 5 for block in blocks]
    middles = spread(lines, heights, frame.y(1) - frame.top, frame.height)
    parts = []
    for y, middle, block in zip(lines, middles, blocks, strict=True):
        edge = frame.x(1)
        parts.append(f'<path class="land" d="M{frame.x(0):.1f} {y:.1f}H{edge:.1f}"/>')
        if not block:
            continue
        parts.append(f'<path class="lead" d="M{edge:.1f} {y:.1f}L{edge + 10:.1f} {middle:.1f}"/>')
        first = middle - LINE * frame.font * (len(block) - 1) / 2 + 0.35 * frame.font
        parts += [
            frame.text(edge + 13, first + index * LINE * frame.font, text, "start") for index, text in enumerate(block)
        ]
    return "\n".join(parts)


def spread(wanted: Sequence[float], heights: Sequence[float], low: float, high: float) -> list[float]:
    """Return middles of blocks near the `wanted` ones, ascending, that do not overlap and stay from `low` to `high`.

    They are the least-squares solution without the bounds: an isotonic regression (pool adjacent violators) of what is
    wanted less the room that the blocks above take.
    """
    room = [sum(heights[:index]) + heights[index] / 2 for index in range(len(heights))]
    pools: list[tuple[float, int]] = []
    for want, taken in zip(wanted, room, strict=True):
        pools.append((want - taken, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, m), (b, n) = pools[-2:]
            pools[-2:] = [((m * a + n * b) / (m + n), m + n)]
    free = [start for start, count in pools for _ in range(count)]
    last = max(low, high - sum(heights))
    return [min(last, max(low, start)) + taken for start, taken in zip(free, room, strict=True)]


def line(points: Sequence[Point], own: Look, width: float, *, faint: bool = False) -> str:
    """Draw a line through points of the picture."""
    if len(points) < 2:
        return ""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    pale = ' stroke-opacity="0.45"' if faint else ""
    return f'<path d="M{path}" {stroke(own, width)}{pale}/>'


def band(low: Sequence[Point], high: Sequence[Point], colour: str, opacity: float = 0.16) -> str:
    """Shade what lies between two lines; a whisker where they are points."""
    if len(low) == 1:
        return whisker(low[0], high[0], colour)
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in (*low, *reversed(high)))
    return f'<path d="M{path}z" fill="{colour}" fill-opacity="{opacity:g}"/>'


def whisker(low: Point, high: Point, colour: str) -> str:
    """Draw a vertical line with caps."""
    (x, start), (_, end) = low, high
    path = f"M{x:.1f} {start:.1f}V{end:.1f}M{x - 4:.1f} {start:.1f}h8M{x - 4:.1f} {end:.1f}h8"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def marker(own: Look, point: Point, size: float = 5.5) -> str:
    """Draw a method's marker at a point of the picture."""
    return mark(own, *point, size)
