"""Curves over epochs as inline SVG, drawn by matplotlib; ink takes the page's text colour, so that dark pages work."""

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

INK = "#010203"
"""Stands for the page's text colour in matplotlib's output."""
LOOK: tuple[str, dict[str, str]] = ("default", {"svg.fonttype": "none", "svg.hashsalt": "dnas"})
"""Matplotlib's settings while it draws, whatever the user's own are: text as text, ids from contents."""


@dataclass(frozen=True)
class Line:
    """One curve: `y[i]` at epoch `x[i]`, where points with NaN are left out.

    `dashes` are lengths of strokes and gaps in points, none for a solid line; `strong` lines are drawn thick, last.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str
    dashes: tuple[float, ...] = ()
    strong: bool = False


def chart(name: str, lines: Sequence[Line], *, label: str, percent: bool = False, zero: bool = False) -> str:
    """Draw curves over epochs with axes, 400 by 240 units.

    Args:
        name: distinguishes the picture's ids from those of other pictures on a page.
        lines: the curves.
        label: what the picture shows, for screen readers.
        percent: whether values are shares, shown in percent.
        zero: whether the vertical axis starts at 0.
    """
    with style.context(list(LOOK)):
        figure, axes = _figure(400, 240, (0.125, 0.165, 0.85, 0.8))
        _draw(axes, lines)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=_decimals(lines), symbol=""))
        if zero:
            axes.set_ylim(0, 1.06 * max((y for line in lines for y in line.y if math.isfinite(y)), default=1.0) or 1.0)
        axes.set_xlabel("epoch", fontsize=12, color=INK, labelpad=3)
        axes.grid(color=INK, alpha=0.12, linewidth=0.8)
        axes.tick_params(length=0, pad=5, labelsize=12, labelcolor=INK)
        return _svg(figure, name, label)


def panel(name: str, lines: Sequence[Line], *, label: str, top: float, even: float) -> str:
    """Draw one of many small pictures, 180 by 100 units: shares from 0 to `top`, and `even`, the share without choice.

    Panels have no axis labels: their page says once what both axes show.
    """
    with style.context(list(LOOK)):
        figure, axes = _figure(180, 100, (0.02, 0.03, 0.96, 0.94))
        axes.axhline(even, color=INK, alpha=0.45, linewidth=0.8, dashes=(2, 2))
        _draw(axes, lines)
        axes.set_ylim(0, top)
        axes.set_xticks([])
        axes.set_yticks([])
        return _svg(figure, name, label)


def _figure(width: float, height: float, box: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_alpha(0)
    axes = figure.add_axes(box)
    axes.patch.set_alpha(0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
        spine.set_alpha(0.4)
    return figure, axes


def _draw(axes: Axes, lines: Sequence[Line]) -> None:
    for line in sorted(lines, key=lambda line: line.strong):
        points = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)]
        drawn = axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            color=line.colour,
            linewidth=2.2 if line.strong else 1.4,
            marker="o" if len(points) < 3 else "",
            markersize=5,
        )
        if line.dashes:
            drawn[0].set_dashes(line.dashes)
    axes.margins(x=0.02)


def _decimals(lines: Sequence[Line]) -> int:
    values = [y for line in lines for y in line.y if math.isfinite(y)]
    return 1 if values and max(values) - min(values) < 0.05 else 0


def _svg(figure: Figure, name: str, label: str) -> str:
    """Return the figure as an SVG element that can stand in a page beside others, the same bytes each time."""
    text = io.StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    svg = text.getvalue()[text.getvalue().index("<svg") :]
    # A style sheet and font names inside would reach out of the picture, or fight the page's own.
    svg = re.sub(r"<metadata>.*?</metadata>\s*|<style.*?</style>\s*|font-family: [^;]*; ", "", svg, flags=re.DOTALL)
    # Ids are unique within a picture only; a page holds many pictures.
    svg = re.sub(r'\b(id="|xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = svg.replace(INK, "currentColor")
    width, height = (72 * inches for inches in figure.get_size_inches())
    start = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">'
    return re.sub(r"<svg[^>]*>", lambda _: start, svg, count=1)
