"""Whether a search won, and how sure a test set of that size can be of it."""

import math
from dataclasses import dataclass

from dnas.report.run import Run
from dnas.report.words import percent, plural

Z = 1.959964
"""Two-sided 95 % point of the normal distribution."""


def wilson(share: float, images: int) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion (Wilson, JASA 22(158), 1927); sound at 0 and at 1 too."""
    middle = (share + Z**2 / (2 * images)) / (1 + Z**2 / images)
    half = Z / (1 + Z**2 / images) * math.sqrt(share * (1 - share) / images + Z**2 / (4 * images**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def standard_error(share: float, images: int) -> float:
    """Return the binomial standard error of a proportion."""
    return math.sqrt(share * (1 - share) / images)


def within_noise(a: float, b: float, images: int) -> bool:
    """Return whether the 95 % interval of `a - b` holds 0 (Newcombe, Stat. Med. 17(8), 1998, method 10).

    Both accuracies are taken as independent, which errs to the careful side where one test set gave both.
    """
    (low_a, high_a), (low_b, high_b) = wilson(a, images), wilson(b, images)
    low = a - b - math.hypot(a - low_a, high_b - b)
    high = a - b + math.hypot(high_a - a, b - low_b)
    return low <= 0 <= high


@dataclass(frozen=True)
class Verdict:
    """The report's headline and the sentence below it; `kind` is "won", "lost", or "" where neither is shown."""

    kind: str
    headline: str
    sentence: str


def judge(run: Run) -> Verdict:
    """Compare the found network with the best random one, plainly."""
    if run.found is None:
        return _untrained(run)
    mine = run.found.accuracy
    score = percent(mine, run.images)
    low, high = wilson(mine, run.images)
    tested = (
        f"{score} of {plural(run.images, 'test image')} "
        f"(95\u00a0% interval {percent(low, run.images)} to {percent(high, run.images)})"
    )
    if not run.baselines:
        what = "The found network" if run.search else "This network"
        return Verdict(
            "",
            f"{what} reaches {score} test accuracy",
            f"It classifies {tested} correctly. It was not compared with a random architecture, so this number does "
            f"not say whether {'the search helped' if run.search else 'the architecture matters'}.",
        )
    best = max(run.baselines, key=lambda network: network.accuracy)
    won = mine > best.accuracy
    noise = within_noise(mine, best.accuracy, run.images)
    rival = "a random architecture" if len(run.baselines) == 1 else f"the best of {len(run.baselines)} random ones"
    points = f"{abs(mine - best.accuracy) * 100:.{2 if run.images >= 2000 else 1}f} percentage points"
    what = "search" if run.search else "architecture"
    scores = f"{score} against {percent(best.accuracy, run.images)}"
    if won and noise:
        kind, headline = "", f"This {what} scored above {rival}, but within noise: {scores}"
    elif won:
        kind, headline = "won", f"This {what} beat {rival}: {scores}"
    else:
        kind, headline = "lost", f"This {what} did not beat a random architecture: {scores}"
    if mine == best.accuracy:
        difference = "The two are level."
    elif noise:
        difference = (
            f"The difference of {points} is within the noise of a test set of this size: neither is shown to be better."
        )
    else:
        difference = f"The difference of {points} is larger than the noise of a test set of this size."
    return Verdict(
        kind,
        headline,
        f"{'The found' if run.search else 'This'} network classifies {tested} correctly; {rival}, "
        f"trained with the same budget, {percent(best.accuracy, run.images)}. {difference}",
    )


def _untrained(run: Run) -> Verdict:
    if "true_accuracy" not in run.known:
        return Verdict(
            "",
            "This search found an architecture that was not trained",
            "Nothing is known of how good it is: retrain it, and random architectures with it, to find out.",
        )
    score = f"{100 * run.known['true_accuracy']:.2f}\u00a0%"
    return Verdict(
        "",
        f"The found architecture reaches {score}, says the table of its space",
        "The table holds what every architecture of the space reaches when it is trained; nothing was trained here "
        "after the search.",
    )
