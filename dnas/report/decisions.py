"""What a model's open choices came to: a table of options and their weights, and how these went over the epochs."""

import math
from collections.abc import Mapping
from html import escape

import numpy as np

from dnas.genotype import Genotype
from dnas.report import parts
from dnas.report.colours import strokes
from dnas.report.curves import Line, panel
from dnas.report.run import Decision, SearchRecord

SHOWN = 8
"""Options of a decision that are listed at most, the chosen one and the heaviest others."""


def chosen(genotype: Genotype) -> dict[str, str]:
    """Return the chosen option of each group that is a single choice, by its name."""
    return {name: cell.only for name, cell in genotype.cells if cell.only is not None}


def table(genotype: Genotype, search: SearchRecord | None) -> str:
    """Return a table of the decisions, with the last weight of every option as a bar where there was a search."""
    rows = []
    for name, option in chosen(genotype).items():
        group = search.groups.get(name) if search else None
        own = f"<strong>{escape(option)}</strong>"
        rows.append(("", [escape(name), own, *([_bars(group, option)] if group else [])]))
    weighed = bool(search and search.groups)
    heads = ["Decision", "Chosen", *(["Weights of the options"] if weighed else [])]
    return parts.scroller("decisions", parts.table(heads, rows, "decisions"))


def panels(genotype: Genotype, search: SearchRecord) -> str:
    """Return small multiples: for each decision, its options' weights over the epochs."""
    own = {name: option for name, option in chosen(genotype).items() if name in search.groups}
    top = max((float(search.groups[name].weights.max(initial=0.0)) for name in own), default=1.0) * 1.06 or 1.0
    figures = []
    for index, (name, option) in enumerate(own.items()):
        group = search.groups[name]
        styles = dict(zip(group.ops, strokes(group.ops), strict=True))
        lines = [
            Line(op, search.epochs.epoch, group.weights[:, 0, group.ops.index(op)].tolist(), *styles[op], op == option)
            for op in _listed(group, option)
        ]
        label = f"{name} chooses {option}"
        svg = panel(f"decision-{index}", lines, label=label, top=top, even=1 / len(group.ops))
        figures.append(parts.figure(escape(name), svg, legend=parts.legend(lines)))
    return f'<div class="panels decided">{"".join(figures)}</div>'


def merged(groups: Mapping[str, Decision], names: Mapping[str, str]) -> dict[str, Decision]:
    """Return the groups with decisions between equally many options as one, of as many edges as there are decisions."""
    sizes: dict[int, list[str]] = {}
    for name in names:
        if name in groups:
            sizes.setdefault(len(groups[name].ops), []).append(name)
    found = {name: group for name, group in groups.items() if name not in names}
    for size, own in sizes.items():
        alike = [groups[name] for name in own]
        title = own[0] if len(own) == 1 else f"{len(own)} decisions between {size}"
        entropy = np.mean([group.entropy for group in alike], axis=0)
        found[title] = Decision(alike[0].ops, np.concatenate([group.weights for group in alike], axis=1), entropy)
    return found


def _bars(group: Decision, option: str) -> str:
    """Return the options with bars as long as their weights; a weight of 1 fills the column."""
    last = dict(zip(group.ops, group.weights[-1, 0].tolist(), strict=True))
    top = max(1.0, *(weight for weight in last.values() if math.isfinite(weight)))
    items = [
        f"<li{' class=mine' if op == option else ''}><span>{escape(op)}</span>"
        f'<i style="width:{100 * max(last[op], 0.0) / top:.1f}%"></i><b>{last[op]:.2f}</b></li>'
        for op in _listed(group, option)
    ]
    more = len(last) - len(items)
    rest = f'<li class="soft">and {more} lighter</li>' if more else ""
    return f'<ul class="options">{"".join(items)}{rest}</ul>'


def _listed(group: Decision, option: str) -> list[str]:
    """Return the options that are shown, in their order."""
    last = dict(zip(group.ops, group.weights[-1, 0].tolist(), strict=True))
    heaviest = sorted(last, key=lambda op: (op != option, -last[op]))[:SHOWN]
    return [op for op in group.ops if op in heaviest]
