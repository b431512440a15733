"""The report's section on what the architecture costs: predicted, expected on the way, actual, within its limits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dnas.hardware.limits import amount
from dnas.hardware.model import UNITS
from dnas.report import parts
from dnas.report.curves import INK, Line, chart
from dnas.report.fields import Fields
from dnas.report.words import DASH

BLUE, ORANGE, GREEN = "#3b7dd8", "#dd7f14", "#2c9a68"


@dataclass(frozen=True)
class Cost:
    """What the found architecture costs by one model.

    Attributes:
        title: the model, such as `raspi4.latency`.
        metric: what it costs.
        kind: where the model is from: `fitted`, `measured`, `roofline` or `exact`.
        predicted: by the model; `None` where the device cannot run the network.
        actual: of the network itself, where that is known.
        limit: greatest cost that was asked for.
        raised: the prediction with the margin of the model's error.
        epochs: the epochs of the search.
        kept: predicted cost of what each epoch selected; NaN where it was not said.
        expected: cost that each epoch's operation weights expected of what would be kept.
        mixed: cost of each epoch's mixture.
    """

    title: str
    metric: str
    kind: str
    predicted: float | None
    actual: float | None
    limit: float | None
    raised: float | None
    epochs: tuple[int, ...]
    kept: tuple[float, ...]
    expected: tuple[float, ...]
    mixed: tuple[float, ...]


def read_costs(result: Fields, rows: Sequence[Fields]) -> tuple[Cost, ...]:
    """Return the costs of a run, from its result and its search's lines of metrics."""
    found = []
    for index, value in enumerate(result.items("costs")):
        own = Fields(f"{result.where}: 'costs' {index}", value)
        lines = [_line(row, index) for row in rows]
        found.append(
            Cost(
                title=own.text("title"),
                metric=own.text("metric") if own.text("metric") in UNITS else "params",
                kind=own.text("kind"),
                **{name: own.maybe(name) for name in ("predicted", "actual", "limit", "raised")},
                epochs=tuple(row.count("epoch") for row in rows),
                kept=_column(lines, "predicted"),
                expected=_column(lines, "expected"),
                mixed=_column(lines, "mixed"),
            )
        )
    return tuple(found)


def costs(found: Sequence[Cost], notes: Sequence[str]) -> str:
    """Return the section; empty where no cost was looked at."""
    if not found:
        return ""
    heads = ["Cost", "predicted", "with margin", "limit", "", "expected by the search", "the network itself", "model"]
    charts = [_chart(index, cost) for index, cost in enumerate(found)]
    return parts.section(
        "What it costs",
        parts.paragraph(
            "Predicted by a table of operations. The margin raises a prediction by the model's own error, so that the "
            "true cost is within the limit with the confidence asked for. Expected: what the operation weights of the "
            "last epoch expected of the network that would be kept.",
            "soft",
        ),
        parts.scroller("costs", parts.table(heads, [_row(cost) for cost in found], "comparison")),
        *(parts.paragraph(f"Note: {note}.") for note in notes),
        f'<div class="charts">{"".join(charts)}</div>' if any(charts) else "",
    )


def _row(cost: Cost) -> tuple[str, list[str]]:
    within = ""
    if cost.limit is not None and cost.raised is not None:
        within = "kept" if cost.raised <= cost.limit * (1 + 1e-9) else "missed"
    last = next((value for value in reversed(cost.expected) if math.isfinite(value)), None)
    cells = [
        escape(cost.title),
        "cannot run it" if cost.predicted is None else _amount(cost.predicted, cost.metric),
        _amount(cost.raised, cost.metric),
        _amount(cost.limit, cost.metric),
        within,
        _amount(last, cost.metric),
        _amount(cost.actual, cost.metric),
        escape(cost.kind),
    ]
    return "", cells


def _chart(index: int, cost: Cost) -> str:
    lines = [
        Line("what the epoch selects", cost.epochs, cost.kept, BLUE, (), True),
        Line("expected of what is kept", cost.epochs, cost.expected, ORANGE),
        Line("of the mixture", cost.epochs, cost.mixed, GREEN, (4, 2)),
    ]
    lines = [line for line in lines if any(map(math.isfinite, line.y))]
    if not lines:
        return ""
    if cost.limit is not None:
        lines.append(Line("limit", cost.epochs, [cost.limit] * len(cost.epochs), INK, (1.5, 1.5)))
    unit = next((name for name, factor in UNITS[cost.metric].items() if factor == 1), "")
    title = f"{cost.title}{f' in {unit}' if unit else ''}"
    svg = chart(f"cost-{index}", lines, label=f"{title} over epochs", zero=True)
    shown = [Line(line.name, (), (), "currentColor", line.dashes) if line.colour == INK else line for line in lines]
    return parts.figure(escape(title), svg, legend=parts.legend(shown))


def _line(row: Fields, index: int) -> Fields | None:
    items = row.items("costs")
    return Fields(f"{row.where}: 'costs' {index}", items[index]) if index < len(items) else None


def _column(lines: Sequence[Fields | None], name: str) -> tuple[float, ...]:
    values = [None if line is None else line.maybe(name) for line in lines]
    return tuple(math.nan if value is None else float(value) for value in values)


def _amount(value: float | None, metric: str) -> str:
    return DASH if value is None else escape(amount(value, metric))
