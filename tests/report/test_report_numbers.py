"""The report's arithmetic and words: intervals, verdicts, checks and humanised numbers."""

import math
from dataclasses import replace

import pytest
from scipy import stats

from dnas.report.checks import check, last_change
from dnas.report.colours import family, strokes
from dnas.report.run import read_run
from dnas.report.verdict import judge, standard_error, wilson, within_noise
from dnas.report.words import count, duration, percent


@pytest.mark.parametrize(("hits", "images"), [(0, 10), (10, 10), (352, 360), (9724, 10_000), (1, 3)])
def test_wilson_agrees_with_scipy(hits, images):
    expected = stats.binomtest(hits, images).proportion_ci(method="wilson")
    assert wilson(hits / images, images) == pytest.approx((expected.low, expected.high), abs=1e-7)


def test_standard_error_is_the_spread_of_a_mean_of_coin_tosses():
    assert standard_error(0.5, 400) == pytest.approx(0.5 / 20)
    assert standard_error(1.0, 400) == 0


def test_noise_agrees_with_the_normal_test_where_there_are_many_images():
    images, base = 100_000, 0.9
    for z in (1.7, 1.9, 2.05, 2.5):
        step = z * math.sqrt(2 * base * (1 - base) / images)
        assert within_noise(base + step, base, images) == (z < 1.96)
        assert within_noise(base, base + step, images) == (z < 1.96)


def test_noise_shrinks_with_the_test_set():
    assert within_noise(0.98, 0.97, 360)
    assert not within_noise(0.98, 0.97, 100_000)
    assert within_noise(1.0, 1.0, 10)


@pytest.mark.parametrize(
    ("found", "baselines", "images", "kind", "said"),
    [
        (0.95, (0.90,), 10_000, "won", "beat a random architecture"),
        (0.95, (0.90, 0.92), 10_000, "won", "beat the best of 2 random ones"),
        (0.95, (0.949,), 1_000, "", "within noise"),
        (0.95, (0.90, 0.96), 10_000, "lost", "did not beat a random architecture"),
        (0.95, (0.95,), 10_000, "lost", "did not beat a random architecture"),
        (0.95, (), 10_000, "", "reaches 95.00 % test accuracy"),
    ],
)
def test_headline_is_plain(make_run, found, baselines, images, kind, said):
    verdict = judge(read_run(make_run(found=found, baselines=baselines, images=images)))
    assert verdict.kind == kind
    assert said in verdict.headline.replace("\u00a0", " ")
    assert "95.00" in verdict.headline.replace("\u00a0", " ") or images < 2000


def test_equal_accuracies_are_called_level(make_run):
    assert "level" in judge(read_run(make_run(found=0.95, baselines=(0.95,)))).sentence


def test_collapse_indecision_and_restlessness_are_warned_of(make_run, v2):
    def skipping(genotype, share):
        # Skip connections in the first `share` of the eight edges of each cell.
        cells = []
        for name, cell in genotype.cells:
            edges = [edge for node in cell.nodes for edge in node]
            ops = ["skip_connect"] * share + ["sep_conv_3x3"] * (8 - share)
            edges = [type(edge)(op, edge.source) for edge, op in zip(edges, ops, strict=True)]
            nodes = tuple(tuple(edges[i : i + 2]) for i in range(0, 8, 2))
            cells.append((name, type(cell)(nodes, cell.concat)))
        return type(genotype)(genotype.space, tuple(cells))

    def warnings(name, **options):
        return [one.text for one in check(read_run(make_run(name, **options))) if not one.fine]

    assert warnings("fine", genotype=skipping(v2, 4)) == []
    collapsed = warnings("collapsed", genotype=skipping(v2, 5))
    assert len(collapsed) == 2
    assert all("5 of 8" in text.replace("\u00a0", " ") for text in collapsed)
    undecided = warnings("undecided", sharpness=0.05)
    assert len(undecided) == 2
    assert all("entropy" in text for text in undecided)
    assert "very last" in warnings("restless", epochs=4)[0]


@pytest.mark.parametrize(("last", "dead"), [("none", True), ("skip_connect", False)])
def test_a_network_that_nothing_goes_through_is_warned_of(make_run, nb201, last, dead):
    """Of three nodes the output sees the last alone, and what leads there is none but for one edge."""
    [(name, cell)] = nb201.cells
    edge = type(cell.nodes[0][0])
    nodes = (cell.nodes[0], cell.nodes[1], (edge(last, 0), edge("none", 1), edge("none", 2)))
    genotype = type(nb201)(nb201.space, ((name, type(cell)(nodes, cell.concat)),))
    run = replace(read_run(make_run("some")), genotype=genotype, search=None)
    found = [one.text for one in check(run) if not one.fine]
    assert any("guesses" in text for text in found) == dead


def test_last_change_is_where_the_final_run_of_equals_begins():
    assert last_change(("a",)) == 0
    assert last_change(("a", "b", "a", "a")) == 2
    assert last_change(("a", "a", "a")) == 0
    assert last_change(("a", "a", "b")) == 2


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "\u2013"),
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (43_210, "43.2 k"),
        (999_499, "999 k"),
        (999_600, "1.00 M"),
        (3_349_342, "3.35 M"),
        (528_000_000, "528 M"),
        (1_234_567_890_123, "1.23 T"),
    ],
)
def test_counts(value, said):
    assert count(value).replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "\u2013"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (83.2, "1 min 23 s"),
        (3599.7, "1 h"),
        (3 * 3600 + 5 * 60, "3 h 5 min"),
        (80 * 3600, "3 d 8 h"),
    ],
)
def test_durations(seconds, said):
    assert duration(seconds).replace("\u00a0", " ") == said


def test_percent_shows_what_the_test_set_can_resolve():
    assert percent(0.97777, 360) == "97.8\u00a0%"
    assert percent(0.9724, 10_000) == "97.24\u00a0%"
    assert percent(None) == "\u2013"


def test_families_and_strokes_tell_operations_apart():
    names = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5")
    names += ("dil_conv_3x3", "dil_conv_5x5")
    assert [family(name) for name in names] == [
        "none", "pool", "pool", "skip", "separable", "separable", "dilated", "dilated",
    ]  # fmt: skip
    assert family("nor_conv_3x3") == family("conv_7x1_1x7") == "convolution"
    assert family("attention") == "other"
    assert len(set(strokes(names))) == len(names)
