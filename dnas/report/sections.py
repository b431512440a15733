"""The report's sections that show pictures: cells, operation weights, entropy and learning curves."""

import math
from collections.abc import Mapping
from html import escape

import numpy as np

from dnas.genotype import Cell
from dnas.report import decisions, parts
from dnas.report.cells import input_name, inputs_of
from dnas.report.colours import DASHES, strokes
from dnas.report.curves import INK, Line, chart, panel
from dnas.report.run import Decision, Epochs, Run, SearchRecord
from dnas.report.words import cell_title

BLUE, ORANGE, GREEN, PURPLE = "#3b7dd8", "#dd7f14", "#2c9a68", "#9a5fd0"


def architecture(run: Run, drawings: Mapping[str, str]) -> str:
    """Return the drawn cells, the table of single choices and the genotype's text; `drawings` are SVGs by group."""
    inputs = inputs_of(run.genotype)
    named = ", ".join(f"{state} is {parts.subscripts(input_name(state, inputs))}" for state in range(inputs))
    states = (
        '<p class="soft">Each circle is a state of the cell: the sum of the operations that enter it. Numbers are the '
        f"states to which the text form refers; {named}.</p>"
    )
    return parts.section(
        "The architecture",
        *([states] if drawings else []),
        *(parts.scroller(cell_title(name), svg, "cell") for name, svg in drawings.items()),
        *([decisions.table(run.genotype, run.search)] if decisions.chosen(run.genotype) else []),
        "<h3>As text</h3>",
        f'<div class="card"><pre>{escape(str(run.genotype))}</pre></div>',
    )


def weights(run: Run, search: SearchRecord) -> str:
    """Return small multiples: for each edge or decision, its operation weights over the epochs."""
    if not search.groups:
        return ""
    inputs = inputs_of(run.genotype)
    cells, single = dict(run.genotype.cells), decisions.chosen(run.genotype)
    content = []
    for name, group in search.groups.items():
        if name in single:
            continue
        top = float(group.weights.max(initial=0.0)) * 1.06 or 1.0
        content.append(f'<h3>{escape(name)} <span class="soft">(panels reach from 0 to {top:.2f})</span></h3>')
        content.append(_panels(name, group, cells.get(name), top=top, epochs=search.epochs, inputs=inputs))
    edges = (
        "One panel for each edge, named by the states that it joins; epochs run from left to right. A framed panel "
        "is a kept edge, and its thick line the kept operation. Dotted: all operations weighing the same."
    )
    choices = (
        "One panel for each decision; epochs run from left to right, and the thick line is the chosen option. "
        "Dotted: all options weighing the same."
    )
    if content:
        content.insert(0, parts.paragraph(edges, "soft"))
    if single:
        content += [parts.paragraph(choices, "soft"), decisions.panels(run.genotype, search)]
    return parts.section("Operation weights over time", *content)


def entropy(run: Run, search: SearchRecord) -> str:
    """Return the mean entropy of the operation weights with its maximum, and the mean weight of the strongest."""
    groups = list(decisions.merged(search.groups, decisions.chosen(run.genotype)).items())
    if not groups:
        return ""
    epoch = search.epochs.epoch
    colours = (BLUE, ORANGE, GREEN, PURPLE)

    def line(i: int, y: np.ndarray) -> Line:
        return Line(groups[i][0], epoch, y.tolist(), colours[i % 4], DASHES[i // 4 % 4], strong=True)

    entropies = [line(i, group.entropy) for i, (_, group) in enumerate(groups)]
    strongest = [line(i, group.weights.max(-1).mean(-1)) for i, (_, group) in enumerate(groups)]
    for size in sorted({len(group.ops) for _, group in groups}):
        top, even = math.log(size), 1 / size
        entropies.append(Line(f"maximum, ln {size} = {top:.2f}", epoch, [top] * len(epoch), INK, (1.5, 1.5)))
        strongest.append(Line(f"minimum, 1/{size}", epoch, [even] * len(epoch), INK, (1.5, 1.5)))
    charts = [
        _chart("entropy", "Entropy", entropies, zero=True),
        _chart("strongest", "Weight of the strongest operation", strongest, zero=True),
    ]
    return parts.section(
        "How decided the search was",
        parts.paragraph(
            "Entropy of the operation weights in nats and weight of the strongest operation, each the mean over the "
            "edges. Where all operations weigh the same, the first is at its maximum and the second at its minimum.",
            "soft",
        ),
        f'<div class="charts">{"".join(charts)}</div>',
    )


def curves(run: Run) -> str:
    """Return losses and accuracies of the search and of the networks trained after it."""
    content = []
    if run.search and run.search.epochs.epoch:
        pair = {"train": (BLUE, "training half"), "valid": (ORANGE, "validation half")}
        epochs = run.search.epochs
        charts = [
            _chart(f"search-{what}", what.capitalize(), _pair(epochs, what, pair), percent=what == "accuracy")
            for what in ("loss", "accuracy")
        ]
        content += ["<h3>Search (the supernet)</h3>", f'<div class="charts">{"".join(charts)}</div>']
    charts = []
    for series, caption in (
        ("test_accuracy", "Test accuracy"),
        ("train_accuracy", "Training accuracy"),
        ("train_loss", "Training loss"),
    ):
        lines = [
            Line(name, epochs.epoch, epochs.series[series], BLUE if not i else ORANGE, DASHES[max(0, i - 1) % 4], not i)
            for i, (name, epochs) in enumerate(run.training.items())
        ]
        charts.append(_chart(series, caption, lines, percent=series != "train_loss"))
    if any(charts):
        content += ["<h3>Retraining</h3>", f'<div class="charts">{"".join(charts)}</div>']
    return parts.section("Losses and accuracies", *content) if content else ""


def _pair(epochs: Epochs, what: str, pair: Mapping[str, tuple[str, str]]) -> list[Line]:
    return [
        Line(name, epochs.epoch, epochs.series[f"{split}_{what}"], colour, (), True)
        for split, (colour, name) in pair.items()
    ]


def _chart(name: str, caption: str, lines: list[Line], *, percent: bool = False, zero: bool = False) -> str:
    """Return a chart as a figure; empty where no line has a point."""
    lines = [line for line in lines if any(map(math.isfinite, line.y))]
    if not lines:
        return ""
    title = f"{caption} in percent" if percent else caption
    svg = chart(name, lines, label=f"{title} over epochs", percent=percent, zero=zero)
    shown = [Line(line.name, (), (), "currentColor", line.dashes) if line.colour == INK else line for line in lines]
    return parts.figure(escape(title), svg, legend=parts.legend(shown))


def _panels(name: str, group: Decision, cell: Cell | None, *, top: float, epochs: Epochs, inputs: int) -> str:
    styles = strokes(group.ops)
    ends = _ends(group.weights.shape[1], len(cell.nodes) if cell else 0, inputs)
    figures = []
    for edge in range(group.weights.shape[1]):
        kept = _kept(cell, ends[edge], inputs) if cell and ends else ()
        lines = [
            Line(op, epochs.epoch, group.weights[:, edge, k].tolist(), *styles[k], op in kept)
            for k, op in enumerate(group.ops)
        ]
        label = " to ".join(map(str, ends[edge])) if ends else f"edge {edge}"
        caption = _arrow(ends[edge], inputs) if ends else label
        last = ", ".join(f"{op} {group.weights[-1, edge, group.ops.index(op)]:.2f}" for op in kept if op in group.ops)
        caption += f"<span>{escape(last)}</span>" if last else '<span class="soft">not kept</span>'
        svg = panel(f"{name}-{edge}", lines, label=f"{name}: {label}", top=top, even=1 / len(group.ops))
        figures.append(parts.figure(caption, svg, kind="kept" if last else ""))
    legend = [Line(op, (), (), *style) for op, style in zip(group.ops, styles, strict=True)]
    return f'{parts.legend(legend)}<div class="panels">{"".join(figures)}</div>'


def _ends(edges: int, nodes: int, inputs: int) -> list[tuple[int, int]]:
    """Return the `(source, target)` of each edge; nothing where they follow neither of the two rules known here.

    A cell has an edge from each earlier state to every node. A grid, whose levels are as wide as there are inputs, has
    one from each state of the level before.
    """
    every = [(source, inputs + node) for node in range(nodes) for source in range(inputs + node)]
    before = [(node // inputs * inputs + place, inputs + node) for node in range(nodes) for place in range(inputs)]
    return next((ends for ends in (every, before) if len(ends) == edges), [])


def _kept(cell: Cell, ends: tuple[int, int], inputs: int) -> tuple[str, ...]:
    source, target = ends
    return tuple(edge.op for edge in cell.nodes[target - inputs] if edge.source == source)


def _arrow(ends: tuple[int, int], inputs: int) -> str:
    source, target = ends
    start = parts.subscripts(input_name(source, inputs)) if source < inputs else str(source)
    return f"{start} &rarr; {target}"
