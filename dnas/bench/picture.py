"""A benchmark's picture, from what `bench.json` holds: ratios with their targets, then time per image as sizes grow."""

import io
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from dnas.bench.points import FORWARD, GRADIENT, STEP
from dnas.bench.record import OURS, Entry
from dnas.bench.table import part, relation, target
from dnas.bench.targets import platform_of, wanted_ratio

COLOURS = {FORWARD: "#3b7dd8", GRADIENT: "#dd7f14", STEP: "#2c9a68"}
MARKERS = {FORWARD: "o", GRADIENT: "s", STEP: "^"}
FASTER, SLOWER, TARGET = "#2c9a68", "#dd7f14", "#1b2430"
STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.0,
    "svg.hashsalt": "dnas",
    "svg.fonttype": "none",
}
WIDTH, BAR, PANEL = 10.0, 0.32, 2.6
"""Inches: the picture's width, and the heights of a bar and of a panel."""
SPAN = 4.0
"""Least ratio of the ends of a growth panel's vertical axis."""


class Growth(NamedTuple):
    """One panel: time per image of one case while one size grows."""

    case: str
    key: str
    label: str
    entries: Sequence[Entry]


def picture(result: Entry) -> str:
    """Return the picture of a result as SVG text; the same result gives the same text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    measured = [one for one in result["measurements"] if one["program"] == OURS and "seconds_median" in one]
    growths = _growths(measured)
    ratios, bars = result["ratios"], [] if growths else measured
    heights = [BAR * len(ratios) + 0.9] if ratios else []
    heights += [BAR * len(bars) + 0.9] if bars else []
    rows = (len(growths) + 1) // 2
    heights += [PANEL * rows + 0.4] if rows else []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, sum(heights or [1.0]) + 0.6), layout="constrained")
        figure.suptitle(_title(result), x=0.01, ha="left", fontsize=9)
        parts = iter(figure.subfigures(max(1, len(heights)), 1, height_ratios=heights or None, squeeze=False)[:, 0])
        if ratios:
            _draw_ratios(next(parts).subplots(), ratios, platform_of(result["environment"]))
        if bars:
            _draw_times(next(parts).subplots(), bars)
        if rows:
            _draw_growths(next(parts), rows, growths)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _title(result: Entry) -> str:
    made = result["environment"]
    device = made["device"] if not str(made["device"]).startswith("cpu") else f"{made['cores']} cores of {made['cpu']}"
    return f"{device}, jax {made['jax']}" + (f", torch {made['torch']}" if result["ratios"] and made["torch"] else "")


def _draw_ratios(axes: Any, ratios: Sequence[Entry], platform: str) -> None:
    """Bars from 1, where both take the same time, on a logarithmic axis; a target is a black tick."""
    for row, one in enumerate(ratios):
        middle, low, high = (one[f"time_ratio_{name}"] for name in ("median", "quartile_low", "quartile_high"))
        axes.barh(row, middle - 1.0, left=1.0, height=0.62, color=FASTER if middle <= 1 else SLOWER)
        axes.hlines(row, low, high, color=TARGET, linewidth=1.0)
        axes.annotate(
            f"{middle:.2f}",
            (max(high, 1.0), row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
        )
        wanted = wanted_ratio(one, platform)
        if wanted is not None:
            axes.vlines(wanted.largest, row - 0.45, row + 0.45, color=TARGET, linewidth=2.2)
            axes.annotate(
                target(one, platform),
                (wanted.largest, row),
                xytext=(-5, 0),
                textcoords="offset points",
                va="center",
                ha="right",
                fontsize=7.5,
                bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            )
    axes.axvline(1.0, color="#8590a0", linewidth=0.8)
    axes.set_yticks(range(len(ratios)), [f"{_name(one)}\n{relation(one)}" for one in ratios])
    axes.invert_yaxis()
    ends = (one[f"time_ratio_quartile_{end}"] for one in ratios for end in ("low", "high"))
    every = [1.0, *ends, *_targets(ratios, platform)]
    axes.set_xscale("log")
    axes.set_xlim(min(every) / 1.3, max(every) * 1.4)
    _plain_ticks(axes.xaxis, [digit * 10.0**power for power in range(-3, 3) for digit in (1, 1.5, 2, 3, 5, 7)])
    axes.set_title("time relative to another program, below 1 is faster; lines are quartiles, ticks targets")


def _targets(ratios: Iterable[Entry], platform: str) -> list[float]:
    found = (wanted_ratio(one, platform) for one in ratios)
    return [one.largest for one in found if one is not None]


def _name(one: Entry) -> str:
    width = f"C={one['channels']}, " if one["channels"] else ""
    return f"{one['case']} {part(one)}, {width}batch {one['batch_images']}, {one['dtype']}"


def _draw_times(axes: Any, entries: Sequence[Entry]) -> None:
    """Bars of milliseconds per image."""
    for row, one in enumerate(entries):
        value = 1e3 * one["seconds_per_image"]
        axes.barh(row, value, height=0.62, color=COLOURS[one["part"]])
        axes.annotate(f"{value:.3g}", (value, row), xytext=(5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(entries)), [_name(one) for one in entries])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_title("milliseconds per image")


def _growths(entries: Sequence[Entry]) -> list[Growth]:
    """Return a panel for each case and each size that takes several values while the other stays."""
    found = []
    for case in dict.fromkeys(one["case"] for one in entries):
        own = [one for one in entries if one["case"] == case]
        for key, other, label in (
            ("batch_images", "channels", "images in a minibatch"),
            ("channels", "batch_images", "channels C"),
        ):
            fixed = _most_varied(own, key, other)
            kept = [one for one in own if one[other] == fixed]
            if len({one[key] for one in kept}) > 1:
                name = "C" if other == "channels" else "batch "
                found.append(Growth(case, key, f"{label} ({name}{'=' if name == 'C' else ''}{fixed})", kept))
    return found


def _most_varied(entries: Sequence[Entry], key: str, other: str) -> int:
    """Return the value of `other` at which `key` takes most values."""
    counts = {fixed: len({one[key] for one in entries if one[other] == fixed}) for fixed in {e[other] for e in entries}}
    return max(sorted(counts), key=lambda fixed: counts[fixed])


def _draw_growths(place: Any, rows: int, growths: Sequence[Growth]) -> None:
    """Two panels in a row, with one legend above all."""
    panels = place.subplots(rows, 2, squeeze=False).flat
    for axes in panels:
        axes.set_axis_off()
    lines: dict[str, Any] = {}
    for axes, growth in zip(place.axes, growths, strict=False):
        axes.set_axis_on()
        _draw_growth(axes, growth)
        lines |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    place.legend(
        list(lines.values()),
        list(lines),
        loc="outside upper center",
        ncols=min(6, len(lines)),
        frameon=False,
        fontsize=8,
    )


def _draw_growth(axes: Any, growth: Growth) -> None:
    """Milliseconds per image over a size, both logarithmic: a level line is cost in proportion to the batch."""
    for name in dict.fromkeys(one["part"] for one in growth.entries):
        for dtype in dict.fromkeys(one["dtype"] for one in growth.entries):
            line = sorted(
                (one[growth.key], 1e3 * one["seconds_per_image"])
                for one in growth.entries
                if (one["part"], one["dtype"]) == (name, dtype)
            )
            axes.plot(
                *zip(*line, strict=True),
                color=COLOURS[name],
                marker=MARKERS[name],
                markersize=4,
                linestyle="-" if dtype == "float32" else "--",
                label=f"{part({'part': name})} {dtype}",
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(*wide(*axes.get_ylim()))
    _plain_ticks(axes.xaxis, sorted({one[growth.key] for one in growth.entries}))
    _plain_ticks(axes.yaxis, [digit * 10.0**power for power in range(-5, 5) for digit in (1, 1.5, 2, 3, 5, 7)])
    axes.set_xlabel(growth.label)
    axes.set_ylabel("ms per image")
    axes.set_title(growth.case)
    axes.grid(color="#dce1e8", linewidth=0.6)


def wide(low: float, high: float) -> tuple[float, float]:
    """Return limits about the same middle that span at least `SPAN`: noise must not fill a panel."""
    middle, half = (low * high) ** 0.5, max(high / low, SPAN) ** 0.5
    return middle / half, middle * half


def _plain_ticks(axis: Any, values: Sequence[float]) -> None:
    """Put ticks at `values` that lie in sight, written out instead of as powers of ten."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator(list(values)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
