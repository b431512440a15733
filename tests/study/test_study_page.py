"""The study's page: complete, well-formed, escaped, self-contained, the same bytes each time."""

import re
from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.report.study import study_page, write_study
from dnas.study.outputs import csv_text, json_text
from dnas.study.record import Landmark
from dnas.study.statistics import compare, summarise


@pytest.fixture
def read(read_page):
    """Return `(study) -> Page`."""
    return lambda study: read_page(study_page(study))


def percents(values):
    return [f"{100 * value:.2f} %" for value in values if value is not None]


@pytest.mark.parametrize("truth", [True, False])
def test_page_holds_every_number(read, make_study, truth):
    study = make_study(truth=truth, failed=(("gdas", 1),))
    text = read(study).text
    for one in summarise(study):
        assert all(word in text for word in percents([one.mean, one.best, one.worst]))
        assert one.arm in text
        assert f"std {100 * one.std:.2f}" in text
        if truth:
            assert f"{one.median_rank:,g}" in text
            assert f"{one.kendall:.2f}" in text
            assert f"{one.top_kendall:.2f}".replace("-", "\u2212") in text
    for one in study.outcomes:
        assert all(word in text for word in percents([one.score, *(one.others or {}).values()]))
    for one in compare(study):
        assert f"{100 * one.difference:+.2f}".replace("-", "\u2212") in text
        assert f"{one.p_permutation:.3g}" in text
        assert f"{one.p_holm:.3g}" in text
    for words in (study.command, study.measure, "0123456789abcdef", "batch_size", "diverged: the loss is NaN"):
        assert words in text, words


def test_page_with_a_table_names_landmarks_and_baselines(read, make_study):
    study = make_study()
    text = read(study).text
    for mark in study.truth.landmarks:
        assert f"{mark.name} {100 * mark.score:.2f} %" in text
    for words in ("random search", "regularised evolution", "500 repetitions", "simulated cost", "2,000 architectures"):
        assert words in text, words
    for arm, rivals in study.truth.same_cost.items():
        assert arm in text
        assert all(word in text for word in percents(rivals.values()))


def test_page_without_a_table_leaves_out_what_needs_one(read, make_study):
    study = make_study(truth=False)
    text = read(study).text
    for words in ("rank", "Kendall", "simulated", "Optimum", "stopping earlier", "true accuracy", "Regret"):
        assert words not in text, words
    chance = [score for one in study.outcomes for score in one.random_scores]
    assert percents([np.mean(chance)])[0] in text
    assert "best beaten: " in text
    assert "Collapse" in text


def test_page_says_what_few_seeds_can_say(read, make_study):
    text = read(make_study()).text
    assert "With 3 seeds in common no difference can reach p < 0.05: the smallest possible p is 0.25" in text
    assert "6 seeds are needed (7 for all 3 pairs at once)" in text
    one = read(make_study(("darts",), (0,))).text
    assert "One seed says little" in one
    assert "against each other" not in one


def test_page_says_what_enough_seeds_say(read, scored):
    up = [0.9 + 0.001 * seed for seed in range(8)]
    text = read(scored({"a": up, "b": [score - 0.1 for score in up]})).text
    assert "Significant at 0.05 after adjustment: a is better than b." in text
    text = read(scored({"a": [0.9, 0.8] * 4, "b": [0.8, 0.9] * 4})).text
    assert "No difference is significant" in text
    three = {name: [0.5 + 0.01 * seed + 0.1 * i for seed in range(6)] for i, name in enumerate("abc")}
    assert (
        "a single difference can reach p < 0.05, but none can after the adjustment for 3 pairs"
        in read(scored(three)).text
    )


def test_equal_architectures_are_drawn_once_with_their_seeds(read, make_study):
    study = make_study()
    page = read(study)
    assert len({one.genotype for one in study.outcomes}) == 3
    assert page.tags["article"] == 3
    assert "darts, seeds 0, 1 and 2" in page.text
    assert "gdas, seeds 0 and 1" in page.text
    assert "9 runs found 3 architectures" in page.text


def test_cells_of_several_groups_are_all_drawn(read, make_study):
    study = make_study(("darts",), (0,), truth=False)
    cell = study.outcomes[0].genotype["cell"]
    two = Genotype("darts", (("normal", cell), ("reduce", cell)))
    text = read(replace(study, outcomes=(replace(study.outcomes[0], genotype=two),))).text
    assert "normal cell" in text
    assert "reduce cell" in text


def test_failed_runs_are_told_and_linked(read, make_study):
    page = read(make_study(failed=(("gdas", 1), ("darts", 0))))
    assert "2 of 9 runs failed" in page.text
    assert ("href", "#failed") in page.attributes
    assert ("id", "failed") in page.attributes
    assert "Failed runs" not in read(make_study()).text


def test_nothing_finished(read, make_study):
    text = read(make_study(("a", "b"), (0,), failed=(("a", 0), ("b", 0)))).text
    assert "No run of this study finished" in text
    assert "0 of 2" in text


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize("epochs", [1, 2])
def test_short_searches(read, make_study, truth, epochs):
    assert "Collapse" in read(make_study(epochs=epochs, truth=truth)).text


def test_what_was_not_measured_is_left_out(read, make_study):
    study = make_study()
    bare = tuple(
        replace(one, epochs=(), ranking=None, simulated_seconds=None, others=None, genotype=None)
        for one in study.outcomes
    )
    study = replace(study, outcomes=bare, truth=replace(study.truth, bands=(), same_cost={}, landmarks=()), command="")
    text = read(study).text
    for words in ("Collapse", "Kendall", "simulated", "architectures found", "stopping earlier", "run it again"):
        assert words not in text, words
    assert "The methods" in text


def test_perfect_and_equal_scores_are_drawn(read, scored):
    assert "100.00 %" in read(scored({"a": [1.0, 1.0], "b": [1.0, 0.99]})).text
    assert "0.00 %" in read(scored({"a": [0.0]})).text


def test_page_reaches_for_nothing_outside(read_page, make_study):
    html = study_page(make_study(failed=(("gdas", 1),)))
    page = read_page(html)
    assert not page.tags.keys() & {"script", "link", "iframe", "img", "object", "embed", "base", "form"}
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("href", "xlink:href", "src", "srcset", "action", "data"):
            assert value.startswith("#")
    assert ("http-equiv", "Content-Security-Policy") in page.attributes
    assert set(re.findall(r"https?://[^\s\"'<>]*", html)) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in html
    assert "url(" not in html


def test_ids_are_unique_and_references_resolve(make_study):
    html = study_page(make_study(failed=(("gdas", 1),)))
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)', html)) <= set(ids)


def test_all_text_is_escaped(read, make_study):
    nasty = "<script>alert('x')</script>&\""
    study = make_study((nasty, "b"), failed=((nasty, 0),))
    cell = replace(study.outcomes[1].genotype["cell"], nodes=study.outcomes[1].genotype["cell"].nodes)
    edge = replace(cell.nodes[0][0], op=nasty)
    genotype = Genotype(nasty, ((nasty, replace(cell, nodes=((edge,), *cell.nodes[1:]))),))
    outcomes = tuple(
        replace(one, note=nasty, path=nasty, genotype=genotype if one.genotype else None, others={nasty: 0.5})
        for one in study.outcomes
    )
    bands = tuple(replace(band, name=nasty) for band in study.truth.bands)
    truth = replace(study.truth, bands=bands, landmarks=(Landmark(nasty, 0.9),), same_cost={nasty: {nasty: 0.9}})
    words = dict.fromkeys(("name", "space", "data", "measure", "command"), nasty)
    values = {"settings": {nasty: nasty, f"a.{nasty}": [nasty]}, "environment": {nasty: nasty, "git_commit": nasty}}
    page = read(replace(study, outcomes=outcomes, truth=truth, **words, **values))
    assert "script" not in page.tags
    assert page.text.count("<script>") > 30


@pytest.mark.parametrize("truth", [True, False])
def test_same_study_same_bytes(make_study, tmp_path, truth):
    files = ("study.html", "study.csv", "study.json")
    write_study(make_study(truth=truth), tmp_path)
    first = [(tmp_path / name).read_bytes() for name in files]
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30}):
        write_study(make_study(truth=truth), tmp_path)
    assert [(tmp_path / name).read_bytes() for name in files] == first


def test_study_leaves_its_files(make_study, tmp_path):
    study = make_study()
    assert write_study(study, tmp_path) == tmp_path / "study.html"
    assert {path.name for path in tmp_path.iterdir()} == {"study.html", "study.csv", "study.json"}
    assert (tmp_path / "study.html").read_text(encoding="utf-8") == study_page(study)
    assert (tmp_path / "study.csv").read_text(encoding="utf-8") == csv_text(study)
    assert (tmp_path / "study.json").read_text(encoding="utf-8") == json_text(study)


def test_a_folder_that_cannot_be_written_is_told(make_study, tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        write_study(make_study(("a",), (0,)), tmp_path / "nowhere")
    (tmp_path / "study.html").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*study\.html"):
        write_study(make_study(("a",), (0,)), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"study.html", "study.csv", "study.json"}
