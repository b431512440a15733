"""How well the supernets of a study rank architectures."""

from collections.abc import Sequence

from dnas.report import parts
from dnas.report.study.look import named
from dnas.report.study.parties import Arm, View, coefficient, listed
from dnas.study.record import Outcome, Ranking
from dnas.study.statistics import average

WEAK = 0.1
"""A tau nearer to 0 is called none: the standard error of a tau of 0 over 100 architectures is 0.07."""


def ranking(view: View) -> str:
    """Return how well the supernets rank architectures; empty where it was not measured."""
    known = [(arm, [(one, one.ranking) for one in arm.runs if one.ranking]) for arm in view.arms]
    means = [("", _ranking_mean(arm, [quality for _, quality in runs])) for arm, runs in known if runs]
    if not means:
        return ""
    rows = [("", _ranking_row(arm, one, quality)) for arm, runs in known for one, quality in runs]
    tail = ["Architectures", "Kendall tau", "Spearman rho", "Of the top decile", "Kendall tau", "Spearman rho"]
    each = parts.scroller("ranking of each run", parts.table(["Run", *tail], rows, "arms"))
    return parts.section(
        "How well the supernet ranks architectures",
        parts.paragraph(_ranking_sentence(view)),
        parts.paragraph(
            "Architectures were drawn from the whole space and from its best tenth, evaluated with the weights that "
            "they inherit from the supernet, and ordered; the coefficients compare this order with the true one: 1 is "
            "the same order, 0 no relation, \u22121 the reverse. A tau of t means that of two architectures drawn at "
            "random the supernet puts the truly better one first in about (1 + t) / 2 of the cases.",
            "soft",
        ),
        parts.scroller("ranking", parts.table(["Method, mean over its seeds", *tail], means, "arms")),
        f"<details><summary>Every run</summary>{each}</details>",
    )


def _ranking_row(arm: Arm, one: Outcome, quality: Ranking) -> list[str]:
    return [
        named(arm.own, f"{arm.name}, seed {one.seed}"),
        f"{quality.count:,}",
        *map(coefficient, (quality.kendall, quality.spearman)),
        f"{quality.top_count:,}",
        *map(coefficient, (quality.top_kendall, quality.top_spearman)),
    ]


def _ranking_mean(arm: Arm, qualities: Sequence[Ranking]) -> list[str]:
    one = arm.summary
    return [
        named(arm.own, arm.name),
        listed(sorted({f"{quality.count:,}" for quality in qualities})),
        *map(coefficient, (one.kendall, one.spearman)),
        listed(sorted({f"{quality.top_count:,}" for quality in qualities})),
        *map(coefficient, (one.top_kendall, one.top_spearman)),
    ]


def _ranking_sentence(view: View) -> str:
    whole = average(one.ranking.kendall for one in view.runs if one.ranking)
    top = average(one.ranking.top_kendall for one in view.runs if one.ranking)
    text = f"Over all runs the mean tau is {coefficient(whole)} on the whole space and {coefficient(top)} "
    text += "in its top decile"
    if top is None or whole is None:
        return f"{text}; a dash means that there is no order to compare: none were drawn, or all scored the same."
    if abs(whole) < WEAK:
        return f"{text}: the supernet's order says next to nothing."
    if top <= -WEAK:
        return f"{text}: among good architectures the supernet prefers the worse ones."
    if top < WEAK:
        return f"{text}: among good architectures the supernet's order says next to nothing."
    if top < whole / 2:
        return f"{text}: the supernet tells bad architectures from good ones better than good ones from each other."
    return f"{text}."
