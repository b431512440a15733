"""The methods against table-driven baselines, such as random search, over simulated cost."""

from collections.abc import Sequence

from dnas.report import parts
from dnas.report.study.charts import Spot, cost_chart
from dnas.report.study.frame import Frame, twice
from dnas.report.study.look import baseline_look, key, named
from dnas.report.study.parties import Arm, View, listed, score
from dnas.report.study.scale import scale_of
from dnas.report.words import duration


def costs(view: View) -> str:
    """Return the baselines over simulated cost with each arm as a point; empty where the table has no costs."""
    truth = view.study.truth
    if truth is None or not truth.bands:
        return ""
    bands = [(baseline_look(index), band) for index, band in enumerate(truth.bands)]
    spots = [spot for arm in view.arms if (spot := _spot(arm))]
    values = [float(value) for band in truth.bands for value in (*band.low, *band.high)]
    values += [value for spot in spots for value in (spot.low, spot.high)]
    scale = scale_of([*values, *(mark.score for mark in view.landmarks)])
    names = listed([band.name for band in truth.bands])
    label = f"Accuracy of {names} over simulated cost, with each method as a point"

    def draw(frame: Frame, marks: Sequence[tuple[float, str]]) -> str:
        return cost_chart(frame, scale, bands, spots, label, marks=marks)

    legend = key([(band.name, own) for own, band in bands], spots=[(a.name, a.own) for a in view.arms if _spot(a)])
    repeats = listed(sorted({f"{band.repeats:,}" for band in truth.bands}))
    return parts.section(
        "Against baselines at the same cost",
        parts.paragraph(
            f"{names[:1].upper()}{names[1:]} asked the table instead of training: line, the mean true accuracy of the "
            f"architecture held best so far over {repeats} repetitions; band, from their 10 % to their 90 % quantile. "
            "Each method stands at the mean simulated cost of its searches: marker, mean over the seeds; whisker, from "
            "the lowest to the highest seed. A method below a line is beaten by that baseline at its cost.",
            "soft",
        ),
        parts.figure("True accuracy in percent", twice(draw, view.labels), legend=legend),
        _same_cost(view),
    )


def _spot(arm: Arm) -> Spot | None:
    one = arm.summary
    if not one.simulated_seconds or one.mean is None or one.worst is None or one.best is None:
        return None
    return Spot(arm.own, one.simulated_seconds, one.mean, one.worst, one.best)


def _same_cost(view: View) -> str:
    truth = view.study.truth
    assert truth is not None
    names = [band.name for band in truth.bands]
    names += sorted({name for rivals in truth.same_cost.values() for name in rivals} - set(names))
    rows = []
    for arm in view.arms:
        rivals = truth.same_cost.get(arm.name)
        if rivals and arm.summary.mean is not None:
            cells = [named(arm.own, arm.name), duration(arm.summary.simulated_seconds), score(arm.summary.mean)]
            rows.append(("", cells + [score(rivals.get(name)) for name in names]))
    if not rows:
        return ""
    heads = ["Method", "Simulated cost", "Method's mean", *(f"{name}, same cost" for name in names)]
    return '<div class="after">' + parts.scroller("same cost", parts.table(heads, rows, "arms")) + "</div>"
