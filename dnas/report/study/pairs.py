"""The methods of a study against each other, and what so few seeds allow to say of it."""

from html import escape

from dnas.report import parts
from dnas.report.study.parties import View, listed, points, probability
from dnas.report.words import plural
from dnas.study.statistics import LEVEL, Comparison, compare, least_p, seeds_needed


def pairs(view: View) -> str:
    """Return each two arms compared over the seeds that both have; empty for one arm."""
    comparisons = compare(view.study)
    if not comparisons:
        return ""
    heads = ["First against second", "Seeds", "Mean difference", "p (permutation)", "p (Holm)", "p (t-test)"]
    rows = [
        (
            "",
            [
                f"{escape(one.first)} against {escape(one.second)}",
                f"{one.n}",
                points(one.difference),
                *map(probability, (one.p_permutation, one.p_holm, one.p_t)),
            ],
        )
        for one in comparisons
    ]
    return parts.section(
        "The methods against each other",
        parts.paragraph(significance(comparisons)),
        parts.paragraph(
            "Differences are first less second in percentage points, paired by seed. The permutation test is exact: "
            "were two methods equally good, each difference could as well have the other sign, so it counts which "
            "share of all choices of signs gives a sum as far from zero. Holm's adjustment is for "
            f"{plural(len(comparisons), 'pair')} at once. The paired t-test assumes normally distributed differences, "
            "which so few seeds cannot show; a dash stands where it does not exist.",
            "soft",
        ),
        parts.scroller("pairs", parts.table(heads, rows, "pairs")),
    )


def significance(comparisons: tuple[Comparison, ...]) -> str:
    """Return what the p-values of a study allow to say: in particular when no result could have been significant."""
    most, count = max(one.n for one in comparisons), len(comparisons)
    need, least = seeds_needed(), least_p(most)
    shared = plural(most, "seed") + (" in common" if len({one.n for one in comparisons}) == 1 else " in common at most")
    if least >= LEVEL:
        text = (
            f"With {shared} no difference can reach p < {LEVEL}: the smallest possible p is {probability(least)}, and "
        )
        text += f"{need} seeds are needed"
        return text + (f" ({seeds_needed(count)} for all {count} pairs at once)." if count > 1 else ".")
    if count * least >= LEVEL:
        return (
            f"With {shared} a single difference can reach p < {LEVEL}, but none can after the adjustment for {count} "
            f"pairs: {seeds_needed(count)} seeds are needed for that."
        )
    found = [one for one in comparisons if one.p_holm < LEVEL]
    if not found:
        return (
            f"No difference is significant: none of the adjusted p-values of {plural(count, 'pair')} is below {LEVEL}."
        )
    told = [_better(one) for one in found]
    text = f"Significant at {LEVEL} after adjustment: {listed(told)}."
    return text + (" The other differences are not." if len(found) < count else "")


def _better(one: Comparison) -> str:
    first, second = (one.first, one.second) if one.difference > 0 else (one.second, one.first)
    return f"{first} is better than {second}"
