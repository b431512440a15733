"""How a study's methods look: each a colour, a dash and a marker, so that no one has to tell them by colour alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from dnas.report.colours import DASHES

COLOURS = ("#3b7dd8", "#dd7f14", "#2c9a68", "#9a5fd0", "#c2477a", "#1795a5")
MARKERS = ("circle", "square", "triangle", "diamond", "down", "cross")
BASELINES = (("#8590a0", ()), ("currentColor", (5, 2.5)), ("#b0637e", (1.5, 1.5)))
"""Colour and dashes of the baselines: greys, which no method has."""


@dataclass(frozen=True)
class Look:
    """One method's colour, stroke pattern (as in `curves.Line`) and marker; no marker if empty."""

    colour: str
    dashes: tuple[float, ...]
    marker: str


def look(index: int) -> Look:
    """Return the look of a study's method `index`; the first 12 all differ in two of the three."""
    turn = index // len(COLOURS)
    return Look(
        COLOURS[index % len(COLOURS)],
        DASHES[index % len(DASHES)],
        MARKERS[(index + turn) % len(MARKERS)],
    )


def baseline_look(index: int) -> Look:
    """Return the look of a baseline."""
    colour, dashes = BASELINES[index % len(BASELINES)]
    return Look(colour, tuple(dashes), "")


def stroke(own: Look, width: float) -> str:
    """Return the attributes of a line."""
    dashes = f' stroke-dasharray="{" ".join(f"{width * d:g}" for d in own.dashes)}"' if own.dashes else ""
    return f'fill="none" stroke="{own.colour}" stroke-width="{width:g}"{dashes}'


def mark(own: Look, x: float, y: float, size: float = 4.5, *, hollow: bool = False) -> str:
    """Draw a marker; a rim in the card's colour keeps markers apart that overlap."""
    if not own.marker:
        return ""
    s, d = size, 1.25 * size
    shapes = {
        "circle": f"m{-s:g} 0a{s:g} {s:g} 0 1 0 {2 * s:g} 0a{s:g} {s:g} 0 1 0 {-2 * s:g} 0z",
        "square": f"m{-0.9 * s:g} {-0.9 * s:g}h{1.8 * s:g}v{1.8 * s:g}h{-1.8 * s:g}z",
        "triangle": f"m0 {-1.2 * s:g}l{1.1 * s:g} {2 * s:g}h{-2.2 * s:g}z",
        "diamond": f"m0 {-d:g}l{d:g} {d:g}l{-d:g} {d:g}l{-d:g} {-d:g}z",
        "down": f"m0 {1.2 * s:g}l{1.1 * s:g} {-2 * s:g}h{-2.2 * s:g}z",
        "cross": f"m{-0.4 * s:g} {-1.1 * s:g}h{0.8 * s:g}v{0.7 * s:g}h{0.7 * s:g}v{0.8 * s:g}h{-0.7 * s:g}"
        f"v{0.7 * s:g}h{-0.8 * s:g}v{-0.7 * s:g}h{-0.7 * s:g}v{-0.8 * s:g}h{0.7 * s:g}z",
    }
    paint = f'class="hollow" stroke="{own.colour}"' if hollow else f'class="mark" fill="{own.colour}"'
    return f'<path {paint} d="M{x:.1f} {y:.1f}{shapes[own.marker]}"/>'


def swatch(own: Look, *, line: bool = True) -> str:
    """Draw a method's line, unless only its markers are in the picture, with its marker, as a key shows it."""
    path = f'<path d="M0 6H34" {stroke(own, 2)}/>' if line else ""
    return f'<svg class="swatch" viewBox="0 0 34 12" aria-hidden="true">{path}{mark(own, 17, 6, 4)}</svg>'


def named(own: Look, name: str) -> str:
    """Return a plain name with the method's marker before it."""
    dot = f'<svg class="dot" viewBox="0 0 14 14" aria-hidden="true">{mark(own, 7, 7)}</svg>'
    return f'<span class="named">{dot}<span>{escape(name)}</span></span>'


def key(lines: Iterable[tuple[str, Look]], *, spots: Iterable[tuple[str, Look]] = (), shade: str = "") -> str:
    """Return the key to a chart: names of its lines, of its lone markers and, if given, what the grey shape is."""
    items = [f"<li>{swatch(own)}{escape(name)}</li>" for name, own in lines]
    items += [f"<li>{swatch(own, line=False)}{escape(name)}</li>" for name, own in spots]
    if shade:
        grey = (
            '<svg class="swatch" viewBox="0 0 34 12" aria-hidden="true"><path class="shade" d="M0 0h34v12H0z"/></svg>'
        )
        items.append(f"<li>{grey}{escape(shade)}</li>")
    return f'<ul class="legend">{"".join(items)}</ul>'
