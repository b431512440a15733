"""What the sections of a study's page share: arms with their looks, landmarks, numbers as the page shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dnas.report.study.look import Look, look
from dnas.report.words import DASH, SPACE
from dnas.study.outputs import place
from dnas.study.record import FINISHED, Landmark, Outcome, Study
from dnas.study.statistics import Summary, finished, summarise


@dataclass(frozen=True)
class Arm:
    """A method of the study, how it looks, and what came of it; `runs` are the finished ones, by seed."""

    name: str
    own: Look
    runs: tuple[Outcome, ...]
    summary: Summary


@dataclass(frozen=True)
class View:
    """A study with what the page derives from it once."""

    study: Study

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """All arms, in the order of the study."""
        pairs = enumerate(zip(self.study.arms, summarise(self.study), strict=True))
        return tuple(Arm(name, look(index), finished(self.study, name), one) for index, (name, one) in pairs)

    @cached_property
    def best(self) -> Arm | None:
        """The arm with the highest mean; `None` where no run finished."""
        ready = [arm for arm in self.arms if arm.summary.mean is not None]
        return max(ready, key=lambda arm: arm.summary.mean or 0.0, default=None)

    @cached_property
    def runs(self) -> tuple[Outcome, ...]:
        """The finished runs, arms first."""
        return tuple(one for arm in self.arms for one in arm.runs)

    @cached_property
    def failures(self) -> tuple[Outcome, ...]:
        """The runs that have no score."""
        return tuple(one for one in self.study.outcomes if one.status != FINISHED or one.score is None)

    @cached_property
    def landmarks(self) -> tuple[Landmark, ...]:
        """The landmarks of the space, best first."""
        marks = self.study.truth.landmarks if self.study.truth else ()
        return tuple(sorted(marks, key=lambda mark: -mark.score))

    @cached_property
    def labels(self) -> tuple[tuple[float, str], ...]:
        """The landmarks' scores with their names and scores in words."""
        return tuple((mark.score, f"{mark.name} {score(mark.score)}") for mark in self.landmarks)

    @cached_property
    def size(self) -> int:
        """How many architectures the space has; 0 without a table."""
        return int(self.study.truth.scores.size) if self.study.truth else 0


def score(share: float | None) -> str:
    """Return an accuracy in percent with two decimals; a dash for `None`."""
    return DASH if share is None else f"{100 * share:.2f}{SPACE}%"


def points(difference: float) -> str:
    """Return a difference of accuracies in percentage points, with its sign."""
    return f"{100 * difference:+.2f}".replace("-", "\u2212")


def coefficient(value: float | None) -> str:
    """Return a correlation with two decimals; a dash for `None`."""
    return DASH if value is None else f"{value:.2f}".replace("-", "\u2212")


def probability(value: float | None) -> str:
    """Return a p-value with three significant digits; a dash for `None`."""
    if value is None:
        return DASH
    return "< 0.0001" if value < 1e-4 else f"{value:.3g}"


def rank(value: float | None) -> str:
    """Return a rank or the median of ranks; a dash for `None`."""
    return place(value)


def listed(words: Sequence[object]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    *most, last = map(str, words)
    return f"{', '.join(most)} and {last}" if most else last


def spaced(text: str) -> str:
    """Return a sentence whose percent signs stay with their numbers."""
    return text.replace(" %", f"{SPACE}%")
