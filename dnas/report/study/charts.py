"""The study's pictures: numbers over epochs before the space's distribution, and scores over simulated cost."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dnas.report.study.frame import Frame, Point, axes, band, landmarks, line, marker, svg, whisker
from dnas.report.study.look import Look
from dnas.report.study.scale import Scale
from dnas.study.record import Band
from dnas.study.statistics import Trace

REACH = 0.26
"""Share of the plotting area's width that the distribution's highest bar takes."""
MINUTE, HOUR, DAY = 60, 3600, 86_400
TIMES = tuple(
    (unit * count, f"{count}\u00a0{name}")
    for name, unit, counts in (
        ("s", 1, (1, 3, 10, 30)),
        ("min", MINUTE, (1, 3, 10, 30)),
        ("h", HOUR, (1, 3, 10)),
        ("d", DAY, (1, 3, 10, 30, 100, 300, 1000)),
    )
    for count in counts
)
"""Round times in seconds, and what they are called."""


@dataclass(frozen=True)
class Curve:
    """One arm over epochs: mean and range over its seeds, and each seed's own `(epochs, values)`."""

    own: Look
    trace: Trace
    seeds: tuple[tuple[Sequence[float], Sequence[float]], ...]


@dataclass(frozen=True)
class Spot:
    """One arm at its mean simulated cost: mean, lowest and highest score."""

    own: Look
    cost: float
    mean: float
    low: float
    high: float


def epochs_chart(
    frame: Frame,
    scale: Scale,
    curves: Sequence[Curve],
    label: str,
    *,
    marks: Sequence[tuple[float, str]] = (),
    space: np.ndarray | None = None,
) -> str:
    """Draw numbers over epochs.

    Args:
        frame: where to.
        scale: the vertical axis.
        curves: one for each arm.
        label: what the picture shows, for screen readers.
        marks: `(value, label)` of each horizontal line.
        space: `(R,)` accuracies whose distribution stands behind the curves; none if `None`.
    """
    last = max((epoch for curve in curves for epoch in curve.trace.epoch), default=1)

    def points(epochs: Sequence[float], values: Sequence[float]) -> list[Point]:
        return [
            (frame.x((epoch - 1) / (last - 1) if last > 1 else 0.5), frame.y(scale.place(value)))
            for epoch, value in zip(epochs, values, strict=True)
            if math.isfinite(value)
        ]

    shades, thin, thick = [], [], []
    for curve in curves:
        trace = curve.trace
        if not trace.epoch:
            continue
        mean = points(trace.epoch, trace.mean)
        if len(curve.seeds) > 1:
            shades.append(band(points(trace.epoch, trace.low), points(trace.epoch, trace.high), curve.own.colour))
            thin += [line(points(*seed), Look(curve.own.colour, (), ""), 0.9, faint=True) for seed in curve.seeds]
        thick += [line(mean, curve.own, 2.4), marker(curve.own, mean[-1])]
    return svg(
        frame,
        label,
        [
            distribution(frame, scale, space) if space is not None else "",
            axes(frame, scale, epoch_ticks(last, 12 if frame.width > 600 else 6), "epoch"),
            *shades,
            landmarks(frame, scale, marks),
            *thin,
            *thick,
        ],
    )


def cost_chart(
    frame: Frame,
    scale: Scale,
    bands: Sequence[tuple[Look, Band]],
    spots: Sequence[Spot],
    label: str,
    *,
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """Draw scores over simulated cost, whose axis is logarithmic: baselines as lines in bands, arms as markers."""
    costs = [float(cost) for _, one in bands for cost in one.cost if cost > 0] + [spot.cost for spot in spots]
    start, end = math.log(min(costs)), math.log(max(costs))
    start, end = (start - 0.5, end + 0.5) if end - start < 1 else (start, end + 0.04 * (end - start))

    def place(cost: float) -> float:
        return (math.log(cost) - start) / (end - start)

    def points(one: Band, values: np.ndarray) -> list[Point]:
        pairs = zip(one.cost.tolist(), values.tolist(), strict=True)
        return [(frame.x(place(cost)), frame.y(scale.place(value))) for cost, value in pairs if cost > 0]

    parts = [axes(frame, scale, _time_ticks(frame, place), "simulated cost (logarithmic)")]
    for own, one in bands:
        low, high = points(one, one.low), points(one, one.high)
        parts.append(band(low, high, own.colour))
        parts += [line(rim, own, 0.9, faint=True) for rim in (low, high)]
    parts.append(landmarks(frame, scale, marks))
    parts += [line(points(one, one.mean), own, 2.2) for own, one in bands]
    for spot in spots:
        bottom, mean, top = (
            (frame.x(place(spot.cost)), frame.y(scale.place(v))) for v in (spot.low, spot.mean, spot.high)
        )
        parts += [whisker(bottom, top, spot.own.colour) if spot.high > spot.low else "", marker(spot.own, mean, 6)]
    return svg(frame, label, parts)


def distribution(frame: Frame, scale: Scale, values: np.ndarray) -> str:
    """Draw how many of `values` stand at each height, as bars that grow leftwards from the right edge."""
    bins = round((frame.y(0) - frame.y(1)) / 6)
    edges = [scale.value(index / bins) for index in range(bins + 1)]
    counts, _ = np.histogram(values, edges)
    top = counts.max(initial=0)
    if not top:
        return ""
    path = f"M{frame.x(1):.1f} {frame.y(0):.1f}"
    for index, count in enumerate(counts.tolist()):
        path += f"H{frame.x(1 - REACH * count / top):.1f}V{frame.y((index + 1) / bins):.1f}"
    return f'<path class="shade" d="{path}H{frame.x(1):.1f}z"/>'


def epoch_ticks(last: int, most: int) -> list[tuple[float, str]]:
    """Return ticks for epochs 1 to `last` as `(share, label)`: the first, and round numbers up to `most` of them."""
    if last == 1:
        return [(0.5, "1")]
    steps = (base * 10**power for power in range(7) for base in (1, 2, 5))
    step = next(step for step in steps if last / step <= most)
    return [((epoch - 1) / (last - 1), str(epoch)) for epoch in sorted({1, *range(step, last + 1, step)})]


def _time_ticks(frame: Frame, place_of: Callable[[float], float]) -> list[tuple[float, str]]:
    gap = 4.6 * frame.font / (frame.x(1) - frame.x(0))
    chosen: list[tuple[float, str]] = []
    for seconds, name in TIMES:
        share = place_of(seconds)
        if 0 <= share <= 1 and (not chosen or share - chosen[-1][0] >= gap):
            chosen.append((share, name))
    return chosen
