"""The picture of a front: accuracy over cost, every point with what it is as a tooltip and a link to its row."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from dnas.hardware.limits import amount
from dnas.hardware.model import TABLE_UNIT
from dnas.pareto.record import RANDOM, SUPERNET, TRUE, WEIGHTS, WORDS, Front, Point
from dnas.report.study.frame import Frame, axes, line, svg
from dnas.report.study.look import Look, mark
from dnas.report.study.scale import Scale, scale_of
from dnas.report.words import count
from dnas.study.verdict import shown

WIDE = Frame(1040, 560, right=24, kind="wide", font=13)
NARROW = Frame(370, 400, right=14, kind="narrow", left=34)
LOOKS = {
    TRUE: Look("#8590a0", (), "diamond"),
    RANDOM: Look("#b0637e", (), "cross"),
    WEIGHTS: Look("#3b7dd8", (), "circle"),
    SUPERNET: Look("#dd7f14", (), "square"),
}
"""By kind, in the order in which they are drawn."""
SIZES = {TRUE: 3.2, RANDOM: 2.8, WEIGHTS: 5.5, SUPERNET: 5.0}
WIDE_RATIO = 8.0
"""From how many times the cheapest cost on the dearest one makes the axis logarithmic."""


def chart(front: Front) -> str:
    """Return the picture, once for wide pages and once for phones; points of a kind are in a group of that class."""
    scale = scale_of([point.accuracy for point in front.points])
    return "".join(_picture(front, frame, scale) for frame in (WIDE, NARROW))


def row_of(front: Front, point: Point) -> int | None:
    """Return the number of the table's row that a point is in; `None` for what was not found."""
    files = [one.file for one in front.front]
    return files.index(point.file) if point.file in files else None


def _picture(front: Front, frame: Frame, scale: Scale) -> str:
    axis = _axis([point.cost for point in front.points])
    ticks = [(axis.place(cost), _label(cost, front.metric)) for cost in axis.ticks(10 if frame is WIDE else 5)]

    def at(point: Point) -> tuple[float, float]:
        return frame.x(axis.place(point.cost)), frame.y(scale.place(point.accuracy))

    unit = f" in {TABLE_UNIT[front.metric]}" if TABLE_UNIT[front.metric] else ""
    content = [axes(frame, scale, ticks, f"{front.title}, predicted{unit}")]
    for kind, own in LOOKS.items():
        points = front.of(kind)
        if points:
            drawn = "".join(_point(front, point, own, *at(point)) for point in points)
            steps = _steps([at(one) for one in points], own, 1.4) if kind == TRUE else ""
            content.append(f'<g class="kind-{kind}">{steps}{drawn}</g>')
    best = _steps([at(point) for point in front.front], Look("currentColor", (), ""), 1.2)
    content.insert(1, f'<g class="best">{best}</g>')
    return svg(frame, f"accuracy over {front.title}: found points, random ones and the front", content)


def _point(front: Front, point: Point, own: Look, x: float, y: float) -> str:
    words = [WORDS[point.kind], amount(point.cost, front.metric), f"accuracy {shown(point.accuracy)}"]
    if point.found:
        words.append(f"seed {point.seed}")
    if point.true is not None and point.supernet is not None:
        words.append(f"by the supernet {shown(point.supernet)}")
    if point.target is not None:
        words.append(f"limit {amount(point.target, front.metric)}")
    text = escape(", ".join(words) + "\n" + str(point.genotype))
    shape = f"<title>{text}</title>{mark(own, x, y, SIZES[point.kind], hollow=point.found and not point.on_front)}"
    row = row_of(front, point)
    return f'<a href="#row-{row + 1}">{shape}</a>' if row is not None else f"<g>{shape}</g>"


def _steps(points: Sequence[tuple[float, float]], own: Look, width: float) -> str:
    """Draw what a front dominates: on from each point at its accuracy up to the cost of the next one."""
    path: list[tuple[float, float]] = []
    for x, y in points:
        if path:
            path.append((x, path[-1][1]))
        path.append((x, y))
    return line(path, own, width)


class _Axis(NamedTuple):
    """The axis of costs, from `low` to `high`; logarithmic where these are far apart and positive."""

    low: float
    high: float
    log: bool

    def place(self, cost: float) -> float:
        """Return where a cost stands, as a share of the axis."""
        start, end, value = map(math.log, (self.low, self.high, cost)) if self.log else (self.low, self.high, cost)
        return 0.5 if end == start else 0.02 + 0.96 * (value - start) / (end - start)

    def ticks(self, most: int) -> list[float]:
        """Return round costs on the axis, at most so many where it is even."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            return [
                cost for power in powers for base in (1, 2, 5) if self.low <= (cost := base * 10.0**power) <= self.high
            ]
        width = (self.high - self.low) or abs(self.high) or 1.0
        first = math.floor(math.log10(width / most))
        steps = (base * 10.0**power for power in (first, first + 1) for base in (1, 2, 5))
        step = next(step for step in steps if width / step <= most)
        return [step * count for count in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def _axis(costs: Sequence[float]) -> _Axis:
    low, high = min(costs), max(costs)
    return _Axis(low, high, low > 0 and high / low >= WIDE_RATIO)


def _label(cost: float, metric: str) -> str:
    return f"{cost:,.6g}" if TABLE_UNIT[metric] in ("ms", "mJ") else count(round(cost))
