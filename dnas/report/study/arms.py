"""The table of a study's methods, each with its seeds drawn on one accuracy axis, and the table of its runs."""

from collections.abc import Sequence
from html import escape

from dnas.report import parts
from dnas.report.study.look import Look, mark, named
from dnas.report.study.parties import Arm, View, points, rank, score
from dnas.report.study.scale import Scale, scale_of, tick_label
from dnas.report.words import DASH, duration, percent
from dnas.study.outputs import regret
from dnas.study.record import Outcome
from dnas.study.statistics import average

WIDTH, EDGE = 230.0, 9.0
"""Width of a strip, and what it keeps free at either end."""
RANDOM = Look("#8590a0", (), "circle")


def methods(view: View) -> str:
    """Return the table of arms and landmarks with a strip for each."""
    scale = _scale(view)
    heads, rows = _arm_rows(view, scale)
    rows += _landmark_rows(view, scale, len(heads))
    axis = ["percent", *[""] * (len(heads) - 2), _axis(scale)]
    table = parts.table(heads, [*rows, ("land-row", axis)], "arms")
    return parts.section(
        "The methods",
        parts.paragraph(_explanation(view, scale), "soft"),
        parts.scroller("methods", table),
        f"<details><summary>Every run</summary>{_runs(view)}</details>",
    )


def _explanation(view: View, scale: Scale) -> str:
    text = f"Score is {view.study.measure}; mean, standard deviation, best and worst are over the seeds. "
    if view.size:
        text += f"Rank is among all {view.size:,} architectures, 1 is best, and better than which share of them. "
    text += "In the strips each marker is a seed, the tall line their mean"
    if view.landmarks:
        text += ", and the short lines the landmarks that are listed below"
    elif any(one.random_scores for one in view.runs):
        text += (
            ", and each hollow circle a random architecture retrained in the same runs, of which the table also says "
        )
        text += "in how many runs the found one beat the best"
    text += "; better is further right"
    text += ", on an axis that is logarithmic in the error. " if scale.log else ". "
    return text + (
        "Wall time is a run's, the mean over the seeds, without compiling; seeds that ran together were one compiled "
        "program, whose time is divided evenly."
    )


def _scale(view: View) -> Scale:
    values = [one.score for one in view.runs if one.score is not None]
    values += [mark.score for mark in view.landmarks]
    return scale_of([*values, *(score for one in view.runs for score in one.random_scores)])


def _arm_rows(view: View, scale: Scale) -> tuple[list[str], list[tuple[str, list[str]]]]:
    ranked = view.study.truth is not None
    compared = any(one.random_scores for one in view.runs)
    heads = ["Method", "Seeds", "Mean", "Best", "Worst"]
    heads += ["Median rank"] if ranked else []
    heads += ["Random mean"] if compared else []
    heads += ["Wall time", "Score of each seed"]
    rows = []
    for arm in view.arms:
        one = arm.summary
        failed = _under(f"{one.failed} failed") if one.failed else ""
        spread = "" if one.std is None else _under(f"std {100 * one.std:.2f}")
        cells = [named(arm.own, arm.name), f"{one.n}{failed}", score(one.mean) + spread]
        cells += [score(one.best), score(one.worst)]
        if ranked:
            share = one.median_percentile
            cells.append(rank(one.median_rank) + ("" if share is None else _under(f"better than {percent(share)}")))
        if compared:
            cells.append(_against_random(arm))
        cells += [
            duration(one.wall_seconds) + _under(_manner(arm.runs)),
            _strip(view, scale, arm),
        ]
        rows.append(("best" if arm is view.best and len(view.arms) > 1 else "", cells))
    return heads, rows


def _against_random(arm: Arm) -> str:
    compared = [one for one in arm.runs if one.random_scores]
    above = sum((one.score or 0.0) > max(one.random_scores) for one in compared)
    chance = average(score for one in compared for score in one.random_scores)
    return score(chance) + (_under(f"best beaten: {above} of {len(compared)}") if compared else "")


def _landmark_rows(view: View, scale: Scale, columns: int) -> list[tuple[str, list[str]]]:
    rows = []
    for index, landmark in enumerate(view.landmarks):
        x = _x(scale, landmark.score)
        tick = _svg(f'<path d="M{x:.1f} 5V21" stroke="currentColor" stroke-width="2"/>')
        cells = [escape(landmark.name), "", score(landmark.score), *[""] * (columns - 4), tick]
        rows.append(("land-row" if index else "land-row first", cells))
    return rows


def _under(text: str) -> str:
    """Return what stands small below a number."""
    return f'<span class="under">{escape(text)}</span>' if text else ""


def _manner(runs: Sequence[Outcome]) -> str:
    together = {one.together for one in runs}
    if len(runs) == 1:
        return "one run"
    return {frozenset({True}): "together", frozenset({False}): "one after the other", frozenset(): ""}.get(
        frozenset(together), "partly together"
    )


def _x(scale: Scale, value: float) -> float:
    return EDGE + (WIDTH - 2 * EDGE) * scale.place(value)


def _svg(content: str) -> str:
    return f'<svg class="strip" viewBox="0 0 {WIDTH:g} 26" aria-hidden="true">{content}</svg>'


def _strip(view: View, scale: Scale, arm: Arm) -> str:
    ticks = "".join(f"M{_x(scale, landmark.score):.1f} 8v10" for landmark in view.landmarks)
    drawn = [f'<path class="frame" d="M{EDGE:g} 13H{WIDTH - EDGE:g}{ticks}"/>']
    drawn += [mark(RANDOM, _x(scale, value), 13, 3.5, hollow=True) for one in arm.runs for value in one.random_scores]
    if arm.summary.mean is not None:
        x = _x(scale, arm.summary.mean)
        drawn.append(f'<path d="M{x:.1f} 1V25" stroke="{arm.own.colour}" stroke-width="2"/>')
    drawn += [mark(arm.own, _x(scale, one.score), 13) for one in arm.runs if one.score is not None]
    return _svg("".join(drawn))


def _axis(scale: Scale) -> str:
    labels = "".join(
        f'<text x="{_x(scale, value):.1f}" y="16" font-size="12" text-anchor="middle" fill="currentColor">'
        f"{tick_label(value)}</text>"
        for value in scale.ticks(0.13)
    )
    return _svg(labels)


def _runs(view: View) -> str:
    others = sorted({name for one in view.runs for name in one.others or {}})
    ranked = view.study.truth is not None
    heads = ["Run", "Score", *(["Rank", "Regret"] if ranked else []), *others, "Wall time", "Compiling", "Directory"]
    rows = []
    for arm in view.arms:
        for one in arm.runs:
            missed = regret(view.study, one)
            cells = [named(arm.own, f"{arm.name}, seed {one.seed}"), score(one.score)]
            if ranked:
                cells += [rank(one.rank), DASH if missed is None else points(missed).lstrip("+")]
            cells += [score((one.others or {}).get(name)) for name in others]
            cells += [duration(one.wall_seconds), duration(one.compile_seconds), escape(one.path)]
            rows.append(("", cells))
    note = "Regret is how many percentage points the score is below the best of the space. " if ranked else ""
    if others:
        note += f"The columns {', '.join(others)} are the same architecture's true test accuracy on other data sets."
    return (parts.paragraph(note, "soft") if note else "") + parts.scroller("runs", parts.table(heads, rows, "runs"))
