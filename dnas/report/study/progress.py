"""What the searches did over their epochs: the accuracy of what they would have found, and signs of collapse."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from dnas.report import parts
from dnas.report.study.charts import Curve, epochs_chart
from dnas.report.study.frame import HALF, Frame, twice
from dnas.report.study.look import Look, key
from dnas.report.study.parties import View, score, spaced
from dnas.report.study.scale import Scale, scale_of
from dnas.report.words import plural
from dnas.study.record import Epoch, Truth
from dnas.study.statistics import trace

SEEDS = (
    "Thick lines with a marker at their end are means over the seeds, shaded bands reach from the lowest to the "
    "highest seed, thin lines are single seeds."
)
SINGLE = "Each line is a single seed, with a marker at its end."


def anytime(view: View) -> str:
    """Return the true accuracy of each epoch's architecture before the space's distribution; empty without a table."""
    truth, curves = view.study.truth, _curves(view, lambda epoch: epoch.score)
    if truth is None or not curves:
        return ""
    scale = scale_of([*_values(curves), *(mark.score for mark in view.landmarks)])
    label = f"True accuracy over epochs for {', '.join(arm.name for arm in view.arms if arm.runs)}"

    def draw(frame: Frame, marks: Sequence[tuple[float, str]]) -> str:
        return epochs_chart(frame, scale, curves, label, marks=marks, space=truth.scores)

    legend = key(_entries(view), shade=f"all {view.size:,} architectures: the longer, the more have that accuracy")
    return parts.section(
        "What stopping earlier would have found",
        parts.paragraph(
            "For each epoch: the true accuracy, in percent, of the architecture that the search would have ended with, "
            f"had it stopped there. {_reading(view)} Broken lines are landmarks of the space.",
            "soft",
        ),
        parts.paragraph(spaced(_axis_note(scale, truth)), "soft"),
        parts.figure("True accuracy in percent", twice(draw, view.labels), legend=legend),
    )


def health(view: View) -> str:
    """Return the share of skip connections and the supernet's own accuracy over epochs; empty without epochs."""
    skips = _curves(view, lambda epoch: epoch.skips / epoch.edges if epoch.edges else None)
    valid = _curves(view, lambda epoch: epoch.valid_accuracy)
    figures = []
    if skips:
        svg = epochs_chart(HALF, Scale(0.0, 1.0), skips, "Share of skip connections over epochs", marks=[(0.5, "")])
        figures.append(
            parts.figure("Skip connections among the kept edges, in percent", svg, legend=key(_entries(view)))
        )
    if valid:
        svg = epochs_chart(HALF, scale_of(_values(valid), log=False), valid, "Supernet accuracy over epochs")
        caption = "Validation accuracy of the supernet, in percent"
        figures.append(parts.figure(caption, svg, legend=key(_entries(view))))
    if not figures:
        return ""
    return parts.section(
        "Collapse",
        parts.paragraph(_collapse(view)),
        parts.paragraph(
            "First picture: the share of skip connections in the architecture that each epoch would have selected; "
            "above the broken line, more than half, it counts as collapsed. Second: the supernet's own accuracy. "
            f"{_reading(view)}",
            "soft",
        ),
        f'<div class="charts">{"".join(figures)}</div>',
    )


def _reading(view: View) -> str:
    return SEEDS if any(arm.summary.n > 1 for arm in view.arms) else SINGLE


def _collapse(view: View) -> str:
    known = [arm for arm in view.arms if arm.summary.traced]
    each = "; ".join(f"{arm.name}: {arm.summary.collapsed} of {plural(arm.summary.traced, 'seed')}" for arm in known)
    text = f"Searches that ended with more than half of their kept edges as skip connections: {each}."
    if any(arm.summary.collapsed for arm in known):
        text += (
            " Differentiable searches are known to collapse so: skip connections help the supernet to train, while the "
            "architecture without convolutions is poor, which the supernet's own accuracy need not show."
        )
    return text


def _axis_note(scale: Scale, truth: Truth) -> str:
    text = ""
    if scale.log:
        text = (
            "The axis is logarithmic in the error, 100 % less the accuracy: near the top a tenth of a percent can be "
            "seen, and a collapse still fits."
        )
    below = int(np.sum(truth.scores < scale.low))
    if below:
        verb = "is" if below == 1 else "are"
        text += f" {plural(below, 'architecture')} of the space {verb} below it, under {score(scale.low)}."
    return text.strip()


def _curves(view: View, value: Callable[[Epoch], float | None]) -> list[Curve]:
    curves = []
    for arm in view.arms:
        seeds = tuple((own.epoch, own.mean) for one in arm.runs if (own := trace([one], value)).epoch)
        if seeds:
            curves.append(Curve(arm.own, trace(arm.runs, value), seeds))
    return curves


def _values(curves: list[Curve]) -> list[float]:
    return [value for curve in curves for _, values in curve.seeds for value in values if math.isfinite(value)]


def _entries(view: View) -> list[tuple[str, Look]]:
    return [(arm.name, arm.own) for arm in view.arms if any(one.epochs for one in arm.runs)]
