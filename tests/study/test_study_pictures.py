"""The study's pictures: what stands where, and that labels do not overlap."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnas.report.study.charts import REACH, Curve, Spot, cost_chart, distribution, epoch_ticks, epochs_chart
from dnas.report.study.frame import NARROW, WIDE, Frame, landmarks, spread
from dnas.report.study.look import look
from dnas.report.study.scale import Scale, scale_of, tick_label
from dnas.study.statistics import trace

FRAME = Frame(400, 300, right=100, letters=20)
shares = st.floats(0.0, 0.99)


def elements(svg, kind):
    """The elements of a class, in drawing order."""
    return [element for element in ET.fromstring(svg).iter() if element.get("class") == kind]


def start(path):
    """Where a path starts."""
    return tuple(map(float, re.match(r"M(\S+) (\S+?)(?=[a-zA-Z])", path.get("d")).groups()))


@given(st.lists(shares, min_size=1, max_size=6), st.booleans())
@settings(deadline=None)
def test_scale_holds_its_values_in_order_and_inverts(values, log):
    scale = scale_of(values, log=log)
    places = [scale.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)
    assert [scale.value(place) for place in places] == pytest.approx(sorted(values), abs=1e-9)


def test_logarithmic_scale_gives_equal_room_to_equal_ratios_of_error():
    scale = Scale(0.5, 0.95, log=True)
    assert scale.place(0.9) - scale.place(0.8) == pytest.approx(scale.place(0.8) - scale.place(0.6))
    assert scale.place(0.1) == 0
    assert scale.place(1.0) == 1


def test_scale_tells_tenths_near_the_top_although_a_collapse_fits():
    scale = scale_of([0.543, 0.9437])
    assert scale.log
    assert WIDE.y(scale.place(0.937)) - WIDE.y(scale.place(0.940)) > 8


def test_scale_is_linear_where_an_accuracy_is_nearly_one():
    assert not scale_of([0.5, 1.0]).log
    assert scale_of([0.5, 1.0]).place(0.75) == pytest.approx(0.5, abs=0.02)


@given(st.lists(shares, min_size=1, max_size=5), st.booleans(), st.floats(0.04, 0.2))
@settings(deadline=None)
def test_ticks_are_apart_and_on_the_axis(values, log, gap):
    scale = scale_of(values, log=log)
    ticks = scale.ticks(gap)
    assert all(scale.low - 1e-9 <= tick <= scale.high + 1e-9 for tick in ticks)
    assert all(scale.place(b) - scale.place(a) >= gap - 1e-9 for a, b in pairwise(ticks))


def test_ticks_are_round():
    ticks = [tick_label(tick) for tick in scale_of([0.543, 0.9437]).ticks(0.05)]
    assert {"60", "70", "80", "85", "90", "94"} <= set(ticks)
    assert not {"83", "54"} & set(ticks)
    assert tick_label(0.945) == "94.5"


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(10, 40)), min_size=1, max_size=7))
def test_labels_are_spread_without_overlap(pairs):
    wanted, heights = zip(*sorted(pairs), strict=True)
    middles = spread(wanted, heights, 0, 300)
    for (a, h), (b, k) in pairwise(zip(middles, heights, strict=True)):
        assert b - a >= (h + k) / 2 - 1e-9
    if sum(heights) <= 300:
        assert middles[0] >= heights[0] / 2 - 1e-9
        assert middles[-1] <= 300 - heights[-1] / 2 + 1e-9


def test_labels_with_room_stay_where_they_are():
    assert spread([20, 100, 200], [10, 10, 10], 0, 300) == [20, 100, 200]
    assert spread([100, 100], [10, 20], 0, 300) == [92.5, 107.5]


def test_landmarks_stand_at_their_accuracy():
    scale = Scale(0.5, 0.95, log=True)
    marks = [(0.6, "low"), (0.94, "best of ten random architectures"), (0.939, "other")]
    svg = f'<svg xmlns="http://www.w3.org/2000/svg">{landmarks(FRAME, scale, marks)}</svg>'
    lines = [start(path)[1] for path in elements(svg, "land")]
    assert lines == pytest.approx([FRAME.y(scale.place(value)) for value, _ in sorted(marks, reverse=True)], abs=0.06)
    texts = [(float(e.get("y")), e.text) for e in ET.fromstring(svg).iter() if e.tag.endswith("text")]
    assert " ".join(text for _, text in texts) == "best of ten random architectures other low"
    assert all(b - a >= FRAME.font for (a, _), (b, _) in pairwise(texts))


def test_curves_end_where_the_mean_is(make_study):
    arms = [make_study(("darts", "x"), epochs=5).outcomes[:3], make_study(("darts", "x"), epochs=5).outcomes[3:]]
    curves = [Curve(look(i), trace(runs, lambda epoch: epoch.score), ()) for i, runs in enumerate(arms)]
    scale = scale_of([0.5, 0.95])
    svg = epochs_chart(FRAME, scale, curves, "label").replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    ends = [start(path) for path in elements(svg, "mark")]
    assert ends == [pytest.approx((FRAME.x(1), FRAME.y(scale.place(c.trace.mean[-1]))), abs=0.06) for c in curves]


def test_distribution_is_a_histogram_of_the_space():
    scale = Scale(0.0, 1.0)
    values = np.array([0.2, 0.2, 0.2, 0.8])
    path = re.search(r'd="([^"]*)"', distribution(FRAME, scale, values))[1]
    bars = [(float(x), float(y)) for x, y in re.findall(r"H([\d.]+)V([\d.]+)", path)]
    right, longest = FRAME.x(1), REACH * (FRAME.x(1) - FRAME.x(0))
    lengths = [(right - x) / longest for x, _ in bars if right - x > 0.1]
    assert lengths == pytest.approx([1, 1 / 3], abs=0.01)
    heights = [y for x, y in bars if right - x > 0.1]
    assert heights == pytest.approx([FRAME.y(0.2), FRAME.y(0.8)], abs=(FRAME.y(0) - FRAME.y(1)) / 35)
    assert distribution(FRAME, Scale(0.9, 1.0), np.array([0.1])) == ""


def test_methods_stand_at_their_cost_and_score(make_study):
    truth, scale = make_study().truth, scale_of([0.5, 0.95])
    bands = [(look(9), truth.bands[0])]
    middle = float(np.sqrt(truth.bands[0].cost[0] * truth.bands[0].cost[-1]))
    spots = [Spot(look(0), cost, 0.9, 0.8, 0.92) for cost in (float(truth.bands[0].cost[0]), middle)]
    svg = cost_chart(FRAME, scale, bands, spots, "label").replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    (left, y), (x, _) = (start(path) for path in elements(svg, "mark"))
    assert left == pytest.approx(FRAME.x(0), abs=0.06)
    assert y == pytest.approx(FRAME.y(scale.place(0.9)), abs=0.06)
    assert x == pytest.approx(FRAME.x(0.5 / 1.04), abs=0.06)


@pytest.mark.parametrize("last", [1, 2, 3, 7, 30, 50, 600])
@pytest.mark.parametrize("most", [6, 12])
def test_epoch_ticks_are_few_and_in_their_places(last, most):
    ticks = epoch_ticks(last, most)
    assert len(ticks) <= most + 1
    assert ticks[0][1] == "1"
    assert all(0 <= share <= 1 for share, _ in ticks)
    if last > 1:
        assert all(share == (int(label) - 1) / (last - 1) for share, label in ticks)


def test_methods_differ_by_more_than_colour():
    looks = [look(index) for index in range(12)]
    for a, b in combinations(looks, 2):
        assert (a.colour != b.colour) + (a.dashes != b.dashes) + (a.marker != b.marker) >= 2
    assert all(a.marker != b.marker for a, b in combinations(looks[:6], 2))


def test_phones_get_letters_and_a_list(make_study):
    from dnas.report.study import study_page

    study = make_study()
    html = study_page(study)
    narrow = re.findall(r'<svg class="picture narrow".*?</svg>', html, flags=re.DOTALL)
    wide = re.findall(r'<svg class="picture wide".*?</svg>', html, flags=re.DOTALL)
    assert len(narrow) == len(wide) == 2
    assert all("optimum" in picture for picture in wide)
    assert all("optimum" not in picture and ">A</text>" in picture for picture in narrow)
    assert html.count("<li>A: optimum") == 2
    assert NARROW.width < WIDE.width
