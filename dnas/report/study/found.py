"""The found architectures, each drawn once with the runs that found it, and the runs that failed."""

from collections.abc import Sequence
from html import escape

from dnas.genotype import Genotype
from dnas.report import decisions, parts
from dnas.report.cells import cell_svg, inputs_of
from dnas.report.study.look import named
from dnas.report.study.parties import Arm, View, listed, rank, score
from dnas.report.words import cell_title, plural
from dnas.study.record import Outcome


def architectures(view: View) -> str:
    """Return every found architecture as drawings, best first; empty where no run finished."""
    groups: dict[Genotype, list[tuple[Arm, Outcome]]] = {}
    for arm in view.arms:
        for one in arm.runs:
            if one.genotype is not None:
                groups.setdefault(one.genotype, []).append((arm, one))
    if not groups:
        return ""
    # Equal architectures of a table have equal scores; retrained ones do not, and stand at their best.
    ordered = sorted(groups.items(), key=lambda item: -max(one.score or 0.0 for _, one in item[1]))
    runs = sum(map(len, groups.values()))
    same = f"{plural(runs, 'run')} found {plural(len(groups), 'architecture')}"
    return parts.section(
        "The architectures found",
        parts.paragraph(
            f"{same}, best first. Each circle is a state of the cell: the sum of the operations that enter it. Numbers "
            "are the states to which the text below a drawing refers.",
            "soft",
        ),
        f'<div class="found">{"".join(_card(view, genotype, group) for genotype, group in ordered)}</div>',
    )


def failures(view: View) -> str:
    """Return the failed runs with what they said; empty where none failed."""
    if not view.failures:
        return ""
    rows = [
        ("", [f"{escape(one.arm)}, seed {one.seed}", escape(one.note) or "no reason was noted", escape(one.path)])
        for one in view.failures
    ]
    return parts.section(
        "Failed runs",
        parts.paragraph("These runs count in none of the numbers above.", "soft"),
        parts.scroller("failed runs", parts.table(["Run", "Why", "Directory"], rows, "runs failed")),
        name="failed",
    )


def _card(view: View, genotype: Genotype, group: Sequence[tuple[Arm, Outcome]]) -> str:
    by_arm: dict[str, list[tuple[Arm, Outcome]]] = {}
    for arm, one in group:
        by_arm.setdefault(arm.name, []).append((arm, one))
    heading = "".join(
        f"<h3>{named(own[0][0].own, f'{name}, {word} {listed([one.seed for _, one in own])}')}</h3>"
        for name, own in by_arm.items()
        for word in ["seed" if len(own) == 1 else "seeds"]
    )
    inputs = inputs_of(genotype)
    several = len(genotype.cells) > 1
    drawings = "".join(
        parts.scroller(cell_title(name), cell_svg(cell, cell_title(name) if several else "", inputs), "cell")
        for name, cell in genotype.cells
        if cell.only is None
    )
    if decisions.chosen(genotype):
        drawings += decisions.table(genotype, None)
    numbers, text = parts.paragraph(_numbers(view, group)), f"<pre>{escape(str(genotype))}</pre>"
    return f"<article><div>{heading}{numbers}{text}</div><div>{drawings}</div></article>"


def _numbers(view: View, group: Sequence[tuple[Arm, Outcome]]) -> str:
    first = group[0][1]
    if view.study.truth is None:
        return f"Score {listed([score(one.score) for _, one in group])}"
    text = f"Score {score(first.score)}, rank {rank(first.rank)} of {view.size:,}"
    others = [f"{score(value)} on {name}" for name, value in (first.others or {}).items()]
    return f"{text}; {listed(others)}" if others else text
