"""What the seeds of a study say together: each method's spread, and what its difference from another is worth."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median, stdev

import numpy as np

from dnas.study.record import FINISHED, Epoch, Outcome, Ranking, Study

LEVEL = 0.05
"""The p-value below which a difference is called significant."""
TIE = 1e-6
"""Sums of differences that are closer count as equal: tables hold single precision and steps of 1e-5 or more."""
EXACT = 20
"""The most seeds whose sign flips are all counted; more are sampled."""
SAMPLES = 200_000


@dataclass(frozen=True)
class Summary:
    """One arm over its finished seeds; every number is `None` where no seed gives it.

    Attributes:
        arm: the method, as the user wrote it.
        n: finished seeds.
        failed: seeds that failed.
        mean: of the scores.
        std: their sample standard deviation; `None` for one seed.
        best: the highest score.
        worst: the lowest.
        median_rank: of the found architectures in the space.
        median_percentile: share of the space that is worse.
        wall_seconds: mean over the seeds.
        compile_seconds: mean over the seeds.
        simulated_seconds: mean over the seeds.
        kendall: mean tau-b of the supernets' rankings over the whole space.
        spearman: mean rank correlation.
        top_kendall: mean tau-b within the top decile.
        top_spearman: mean rank correlation within the top decile.
        traced: seeds whose epochs are known.
        collapsed: those among them that ended collapsed.
    """

    arm: str
    n: int
    failed: int
    mean: float | None
    std: float | None
    best: float | None
    worst: float | None
    median_rank: float | None
    median_percentile: float | None
    wall_seconds: float | None
    compile_seconds: float | None
    simulated_seconds: float | None
    kendall: float | None
    spearman: float | None
    top_kendall: float | None
    top_spearman: float | None
    traced: int
    collapsed: int


@dataclass(frozen=True)
class Comparison:
    """Two arms over the seeds that both finished.

    Attributes:
        first: an arm.
        second: another.
        n: seeds that both have.
        difference: mean of first minus second.
        p_permutation: two-sided, exact: share of sign flips of the differences whose sum is as far from 0.
        p_least: the smallest `p_permutation` that so many seeds can give.
        p_holm: `p_permutation`, adjusted for all pairs of the study.
        p_t: two-sided paired t-test; `None` for one seed or differences that are all the same.
    """

    first: str
    second: str
    n: int
    difference: float
    p_permutation: float
    p_least: float
    p_holm: float
    p_t: float | None


@dataclass(frozen=True)
class Trace:
    """A number over epochs, over the seeds that have it: `(T,)` each."""

    epoch: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def finished(study: Study, arm: str) -> tuple[Outcome, ...]:
    """Return the arm's finished runs that have a score, in the order of their seeds."""
    own = [one for one in study.outcomes if one.arm == arm and one.status == FINISHED and one.score is not None]
    return tuple(sorted(own, key=lambda one: one.seed))


def scores(outcomes: Iterable[Outcome]) -> list[float]:
    """Return the scores of runs that have one."""
    return [one.score for one in outcomes if one.score is not None]


def summarise(study: Study) -> tuple[Summary, ...]:
    """Return a summary for each arm, in the order of the study."""
    return tuple(_summary(study, arm) for arm in study.arms)


def compare(study: Study) -> tuple[Comparison, ...]:
    """Return a comparison for each two arms that share a finished seed, in the order of the study."""
    found = []
    by_seed = {arm: {one.seed: one.score for one in finished(study, arm)} for arm in study.arms}
    for first, second in combinations(study.arms, 2):
        a, b = by_seed[first], by_seed[second]
        differences = [
            x - y for seed in sorted(a.keys() & b.keys()) if (x := a[seed]) is not None and (y := b[seed]) is not None
        ]
        if differences:
            found.append((first, second, differences))
    exact = [permutation_p(differences) for _, _, differences in found]
    return tuple(
        Comparison(first, second, len(d), fmean(d), p, least_p(len(d)), adjusted, paired_t_p(d))
        for (first, second, d), p, adjusted in zip(found, exact, holm(exact), strict=True)
    )


def permutation_p(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of paired differences under flips of their signs (Fisher, 1935).

    If neither method were better, each difference could as well have had the other sign. All 2^n choices of signs are
    counted, ties with the observed sum included, up to 20 differences; above, 200,000 are drawn with a fixed seed.
    """
    values = np.asarray(differences, float)
    if values.size > EXACT:
        signs = np.random.default_rng(0).integers(0, 2, (SAMPLES, values.size), dtype=np.int8) * 2 - 1
        as_far = np.abs(signs @ values) >= abs(values.sum()) - TIE
        return float((as_far.sum() + 1) / (SAMPLES + 1))
    sums = values[:1]
    # Flipping every sign keeps the distance from 0, so the first sign may stay.
    for value in values[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return float(np.mean(np.abs(sums) >= abs(values.sum()) - TIE))


def least_p(seeds: int) -> float:
    """Return the smallest two-sided p-value that `seeds` paired differences can give: 2 of 2^n choices of signs."""
    return 2.0 ** (1 - seeds)


def seeds_needed(pairs: int = 1) -> int:
    """Return the fewest seeds with which one of `pairs` comparisons can be significant after Holm's adjustment."""
    return next(n for n in range(1, 64) if pairs * least_p(n) < LEVEL)


def paired_t_p(differences: Sequence[float]) -> float | None:
    """Return the two-sided p-value of Student's paired t-test; `None` where its statistic does not exist."""
    from scipy.special import stdtr

    if len(differences) < 2 or max(differences) - min(differences) <= TIE:
        return None
    t = fmean(differences) / (stdev(differences) / math.sqrt(len(differences)))
    return float(2 * stdtr(len(differences) - 1, -abs(t)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number (Holm, Scand. J. Stat. 6(2), 1979), in the order given."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def collapsed(outcome: Outcome) -> bool | None:
    """Return whether more than half of the edges kept at the last epoch are skip connections; `None` if unknown."""
    return 2 * outcome.epochs[-1].skips > outcome.epochs[-1].edges if outcome.epochs else None


def trace(outcomes: Iterable[Outcome], value: Callable[[Epoch], float | None]) -> Trace:
    """Return mean, lowest and highest `value` of each epoch over the runs where it is a number."""
    by_epoch: dict[int, list[float]] = {}
    for outcome in outcomes:
        for epoch in outcome.epochs:
            one = value(epoch)
            if one is not None and math.isfinite(one):
                by_epoch.setdefault(epoch.epoch, []).append(one)
    rows = sorted(by_epoch.items())
    return Trace(
        tuple(epoch for epoch, _ in rows),
        tuple(fmean(values) for _, values in rows),
        tuple(min(values) for _, values in rows),
        tuple(max(values) for _, values in rows),
    )


def average(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are known; `None` where none is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _summary(study: Study, arm: str) -> Summary:
    runs = finished(study, arm)
    marks, signs = scores(runs), [sign for one in runs if (sign := collapsed(one)) is not None]

    def middle(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return median(known) if known else None

    def ranking(value: Callable[[Ranking], float | None]) -> float | None:
        return average(value(one.ranking) for one in runs if one.ranking is not None)

    return Summary(
        arm=arm,
        n=len(runs),
        failed=sum(one.arm == arm for one in study.outcomes) - len(runs),
        mean=average(marks),
        std=stdev(marks) if len(marks) > 1 else None,
        best=max(marks, default=None),
        worst=min(marks, default=None),
        median_rank=middle(one.rank for one in runs),
        median_percentile=middle(one.percentile for one in runs),
        wall_seconds=average(one.wall_seconds for one in runs),
        compile_seconds=average(one.compile_seconds for one in runs),
        simulated_seconds=average(one.simulated_seconds for one in runs),
        kendall=ranking(lambda one: one.kendall),
        spearman=ranking(lambda one: one.spearman),
        top_kendall=ranking(lambda one: one.top_kendall),
        top_spearman=ranking(lambda one: one.top_spearman),
        traced=len(signs),
        collapsed=sum(signs),
    )
