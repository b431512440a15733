"""What a study found, in one plain sentence: the best method against random architectures and the baselines."""

from collections.abc import Sequence
from dataclasses import dataclass

from dnas.study.record import Study, Truth
from dnas.study.statistics import Summary, average, finished, scores, summarise

BOTTOM = 0.05
"""Share of the space below which a found architecture is called one of the worst."""


@dataclass(frozen=True)
class Verdict:
    """A study's headline.

    Attributes:
        kind: `won` where every seed of the best method beats its rival, `lost` where its mean does not, else empty.
        headline: the best method against its rival, without a full stop.
        notes: clauses on collapse, on methods below a random architecture, on the space's worst and on failed runs.
    """

    kind: str
    headline: str
    notes: tuple[str, ...]


def judge(study: Study) -> Verdict:
    """Compare the best arm with random architectures, and with the baselines where the table has their cost."""
    summaries = summarise(study)
    ready = [one for one in summaries if one.mean is not None]
    notes = _notes(study, summaries)
    if not ready:
        return Verdict("lost", "No run of this study finished", notes)
    best = max(ready, key=lambda one: one.mean or 0.0)
    subject = best.arm if len(ready) == 1 else f"The best of {len(ready)} methods, {best.arm},"
    seeds = "on average" if best.n > 1 else "with one seed"
    kind, clause = _with_truth(study, study.truth, best) if study.truth else _without_truth(study, best)
    verb = "found" if study.truth else "reached"
    return Verdict(kind, f"{subject} {verb} {shown(best.mean)} {seeds}, {clause}", notes)


def shown(share: float | None) -> str:
    """Return an accuracy in percent with two decimals; a dash for `None`."""
    return "\u2013" if share is None else f"{100 * share:.2f} %"


def relation(score: float, other: float) -> str:
    """Return "better than", "worse than" or, where both are shown alike, "level with"."""
    if shown(score) == shown(other):
        return "level with"
    return "better than" if score > other else "worse than"


def _with_truth(study: Study, truth: Truth, best: Summary) -> tuple[str, str]:
    assert best.mean is not None and best.worst is not None
    chance = float(truth.scores.mean(dtype=float))
    against = f"{relation(best.mean, chance)} a random architecture ({shown(chance)})"
    if relation(best.mean, chance) != "better than":
        return "lost", against
    rivals = [
        *((score, f"{name} at the same cost") for name, score in (truth.same_cost.get(best.arm) or {}).items()),
        *((mark.score, f"{mark.name}, which need no search") for mark in truth.landmarks if mark.plain),
    ]
    if not rivals:
        return "", against
    rival, name = max(rivals)
    named = f"{name} ({shown(rival)})"
    if relation(best.mean, rival) != "better than":
        return "lost", f"{against} but {relation(best.mean, rival)} {named}"
    if best.worst <= rival:
        return "", f"better than {named}, but not with every seed"
    return ("won" if best.n > 1 else ""), f"better than {named}"


def _without_truth(study: Study, best: Summary) -> tuple[str, str]:
    runs = finished(study, best.arm)
    chance = average(score for one in runs for score in one.random_scores)
    if chance is None or best.mean is None:
        return "", "and was not compared with a random architecture"
    against = f"{relation(best.mean, chance)} random architectures retrained in the same runs ({shown(chance)})"
    if relation(best.mean, chance) != "better than":
        return "lost", against
    if any(score <= max(one.random_scores, default=0.0) for one in runs for score in scores([one])):
        return "", f"{against}, but not than the best of them in every run"
    return ("won" if best.n > 1 else ""), against


def _bottom(study: Study) -> list[str]:
    """Say how many searches ended where hardly any architecture is worse, as dead networks do."""
    fallen = [one.arm for one in study.outcomes if one.percentile is not None and one.percentile < BOTTOM]
    if not fallen:
        return []
    which = ", ".join(f"{fallen.count(arm)} of {arm}" for arm in study.arms if arm in fallen)
    runs = f"{len(fallen)} of {len(study.outcomes)} runs" if len(study.outcomes) > 1 else "the run"
    return [
        f"{runs} ended in the worst {100 * BOTTOM:.0f} % of the space" + (f" ({which})" if len(study.arms) > 1 else "")
    ]


def _notes(study: Study, summaries: Sequence[Summary]) -> tuple[str, ...]:
    notes = []
    traced, fallen = sum(one.traced for one in summaries), [one for one in summaries if one.collapsed]
    if fallen:
        count, noun = sum(one.collapsed for one in fallen), "seeds" if len(summaries) == 1 else "searches"
        which = ", ".join(f"{one.collapsed} of {one.arm}" for one in fallen)
        text = f"{count} of {traced} {noun}" if traced > 1 else "the search"
        notes.append(f"{text} collapsed to skip connections" + (f" ({which})" if len(summaries) > 1 else ""))
    if study.truth:
        chance = float(study.truth.scores.mean(dtype=float))
        low = [one for one in summaries if one.mean is not None and relation(one.mean, chance) == "worse than"]
        # With every method below, the headline has said it already.
        if low and len(low) < sum(one.mean is not None for one in summaries):
            which = ", ".join(f"{one.arm} with {shown(one.mean)}" for one in low)
            notes.append(f"worse than a random architecture ({shown(chance)}): {which}")
        notes += _bottom(study)
    failed = sum(one.failed for one in summaries)
    if failed:
        notes.append(f"{failed} of {len(study.outcomes)} runs failed")
    return tuple(notes)
