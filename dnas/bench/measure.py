"""Measuring one point: its programs are prepared, checked against another framework, then all run in turn."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dnas.bench.cases import build
from dnas.bench.equality import Equality, logits
from dnas.bench.peak import Product, product
from dnas.bench.points import FORWARD, GRADIENT, Point
from dnas.bench.progress import Progress
from dnas.bench.ready import Ready, ready, too_large
from dnas.bench.record import OURS, Entry, comparison, measurement
from dnas.bench.timing import Effort, Runner, interleave, seconds_of

PEAK = "matrix product"


@dataclass(frozen=True)
class Task:
    """A point, and the same with other settings, by the words that say which."""

    point: Point
    variants: Mapping[str, Point]

    @property
    def programs(self) -> dict[str, Point]:
        """The points by the name that their programs go by in results."""
        return {OURS: self.point, **{f"{OURS} {words}": point for words, point in self.variants.items()}}


@dataclass(frozen=True)
class Plan:
    """How tasks are measured.

    Attributes:
        parts: which programs of a point.
        effort: how long they are timed.
        fresh: whether tracing and compiling are measured, in processes of their own.
        equality: compares with another framework; `None` compares with none.
    """

    parts: tuple[str, ...]
    effort: Effort
    fresh: bool
    equality: Equality | None = None

    def stages(self, task: Task) -> int:
        """Return how many stages of progress measuring `task` has."""
        return len(self.parts) * (1 + len(task.programs)) + (self.equality is not None)


class Times(NamedTuple):
    """Seconds of a call in each round, of the first call, and why something did not run, all by contender."""

    seconds: Mapping[str, list[float]]
    first: Mapping[str, float]
    notes: Mapping[str, str]


class Checked(NamedTuple):
    """A rival that computes what ours does.

    Attributes:
        runners: what is timed, by part.
        output_error: how far its logits are from ours at this size.
        gradient_error: how far its gradient is from ours on a small network.
        saved_bytes: what its forward pass keeps for the backward pass.
    """

    runners: Mapping[str, Runner]
    output_error: float
    gradient_error: float
    saved_bytes: int


def measure(task: Task, plan: Plan, progress: Progress) -> tuple[list[Entry], list[Entry]]:
    """Measure `task` and return the entries of our programs, and those of the ratios.

    Raises:
        UserError: for settings that do not go together.
        Unequal: if the framework's numbers are not ours.
    """
    cases = {name: build(point) for name, point in task.programs.items()}
    others = plan.equality.rivals.build(cases[OURS]) if plan.equality else {}
    own: dict[tuple[str, str], Ready] = {}
    with tempfile.TemporaryDirectory(prefix="dnas-bench-") as folder:
        for part in plan.parts:
            for number, (name, case) in enumerate(cases.items()):
                with progress.stage(f"{title(task.point)}: preparing {part} of {name}"):
                    cache = Path(folder) / f"{part}-{number}" if plan.fresh else None
                    own[part, name] = ready(case, part, cache)
    checked: dict[str, Checked] = {}
    if plan.equality:
        with progress.stage(f"{title(task.point)}: comparing numbers with {plan.equality.rivals.name}"):
            apart = plan.equality.gradients(task.point)
            outputs = logits(cases[OURS], {part: own[part, OURS] for part in plan.parts}, others)
            checked = {
                label: Checked(rival.runners(), outputs[label], apart[label].gradient, rival.saved_bytes())
                for label, rival in others.items()
            }
    top = product(task.point.dtype)
    times = {}
    for part in plan.parts:
        with progress.stage(f"{title(task.point)}: timing {part}"):
            programs = {name: own[part, name] for name in cases}
            times[part] = _timed(part, programs, checked, top, plan.effort)
    return _entries(task, own, checked, times, top)


def title(point: Point) -> str:
    """Return a point in a few words."""
    width = f", C={point.channels}" if point.channels else ""
    return f"{point.case}{width}, {point.dtype}, batch {point.batch}"


def _timed(part: str, own: Mapping[str, Ready], checked: Mapping[str, Checked], top: Product, effort: Effort) -> Times:
    notes = {name: one.note for name, one in own.items() if one.note}
    runners = {PEAK: top.runner, **{name: one.runner() for name, one in own.items() if not one.note}}
    for label, rival in checked.items():
        if part in rival.runners:
            note = too_large(rival.saved_bytes) if part != FORWARD else ""
            if note:
                notes[label] = note
            else:
                runners[label] = rival.runners[part]
    first = {}
    for name, runner in list(runners.items()):
        try:
            first[name] = seconds_of(runner, 1)
        # Both frameworks raise this, or a class of their own below it, when the device's memory is full.
        except RuntimeError as error:
            if "memory" not in str(error).lower() and "RESOURCE_EXHAUSTED" not in str(error):
                raise
            notes[name] = "the memory was too small"
            del runners[name]
    return Times(interleave(runners, effort), first, notes)


def _entries(
    task: Task,
    own: Mapping[tuple[str, str], Ready],
    checked: Mapping[str, Checked],
    times: Mapping[str, Times],
    top: Product,
) -> tuple[list[Entry], list[Entry]]:
    """Put the entries together; the peak is the best of all rounds."""
    peak = top.macs / min(min(timed.seconds[PEAK]) for timed in times.values())
    measurements = [
        measurement(
            task.programs[name],
            part,
            name,
            images=one.program.images,
            macs=one.macs,
            cold=one.cold,
            warm=one.warm,
            temporary_bytes=one.temporary_bytes,
            seconds=times[part].seconds.get(name, ()),
            # A variant in another type has another peak.
            peak_macs_per_second=peak if task.programs[name].dtype == task.point.dtype else None,
            note=times[part].notes.get(name, ""),
            not_compared={
                label: note for label, note in times[part].notes.items() if name == OURS and label in checked
            },
        )
        for (part, name), one in own.items()
    ]
    ratios = []
    for part, timed in times.items():
        plain = timed.seconds.get(OURS)
        if plain is None:
            continue
        for label, rival in checked.items():
            if label in timed.seconds:
                extra = {
                    "output_error": rival.output_error,
                    "small_gradient_error": rival.gradient_error,
                    "reference_first_call_seconds": timed.first[label],
                }
                memory = (own[part, OURS].temporary_bytes, rival.saved_bytes if part == GRADIENT else None)
                ratios.append(_ratio(task.point, part, OURS, label, timed, memory, extra))
        for name, point in task.programs.items():
            if name != OURS and name in timed.seconds:
                memory = (own[part, name].temporary_bytes, own[part, OURS].temporary_bytes)
                ratios.append(_ratio(point, part, name, OURS, timed, memory, {}))
    return measurements, ratios


def _ratio(
    point: Point,
    part: str,
    name: str,
    reference: str,
    timed: Times,
    memory: tuple[int | None, int | None],
    extra: Mapping[str, float],
) -> Entry:
    return comparison(
        point,
        part,
        name,
        reference,
        seconds=timed.seconds[name],
        reference_seconds=timed.seconds[reference],
        memory=memory,
        extra=extra,
    )
