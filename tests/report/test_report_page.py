"""The whole page: complete, escaped, self-contained, the same bytes each time; bad run directories are told."""

import json
import re
import xml.etree.ElementTree as ET
from collections import Counter

import matplotlib
import pytest

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.report import write_report


@pytest.fixture
def read(read_page):
    """Return `(run directory) -> Page`."""
    return lambda run: read_page(write_report(run).read_text(encoding="utf-8"))


def test_run_leaves_drawings_and_a_page(make_run):
    run = make_run()
    before = {path.name for path in run.iterdir()}
    assert write_report(run) == run / "report.html"
    assert {path.name for path in run.iterdir()} - before == {"cell-normal.svg", "cell-reduce.svg", "report.html"}
    for name in ("normal", "reduce"):
        assert ET.parse(run / f"cell-{name}.svg").getroot().tag.endswith("svg")


def test_every_group_is_drawn(read, make_run, nb201):
    run = make_run(
        genotype=nb201, ops=("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"), edges=6
    )
    page = read(run)
    assert (run / "cell-cell.svg").exists()
    assert page.text.count("not kept") == 0
    assert "maximum, ln 5" in page.text


def test_page_says_what_the_run_found(read, make_run, v2):
    text = read(make_run()).text
    for words in (
        "97.8 %", "96.4 %", "43.2 k", "3.35 M", "1 min 23 s", "1 min 1 s", "360 test images",
        "dnas search --preset tiny --seed 0", "0123456789abcdef", "maximum, ln 8 = 2.08", "alpha_learning_rate",
    ):  # fmt: skip
        assert words in text, words
    assert all(line in text for line in str(v2).splitlines())


def test_operation_weights_have_a_panel_for_each_edge(read, make_run):
    text = read(make_run()).text
    assert text.count("not kept") == 2 * (14 - 8)
    assert re.search(r"sep_conv_3x3 0\.\d\d", text)


@pytest.mark.parametrize("found", [0.95, 0.96])
def test_page_says_when_the_search_did_not_win(read, make_run, found):
    assert "This search did not beat a random architecture" in read(make_run(found=found, baselines=(0.96, 0.9))).text


def test_page_does_not_say_so_when_it_won(read, make_run):
    text = read(make_run(found=0.97, baselines=(0.9,), images=10_000)).text
    assert "did not beat" not in text
    assert "This search beat a random architecture" in text


@pytest.mark.parametrize("null", [False, True])
def test_sections_without_a_subject_are_left_out(read, make_run, null):
    run = make_run(search=False, baselines=())
    if null:
        result = json.loads((run / "result.json").read_text())
        (run / "result.json").write_text(json.dumps(result | {"search": None, "ops": None, "baseline": []}))
    text = read(run).text
    for words in ("Search time", "Operation weights", "Entropy", "Found against random", "Random", "supernet"):
        assert words not in text, words
    assert "This network reaches 97.8 % test accuracy" in text


def test_page_reaches_for_nothing_outside(read, make_run):
    page = read(make_run())
    assert not page.tags.keys() & {"script", "link", "iframe", "img", "object", "embed", "base", "form"}
    raw = (page.rawdata, *(value or "" for _, value in page.attributes))
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("href", "xlink:href", "src", "srcset", "action", "data"):
            assert value.startswith("#")
    assert all(target.startswith("#") for text in raw for target in re.findall(r"url\(\s*['\"]?(.)", text))
    assert ("http-equiv", "Content-Security-Policy") in page.attributes


def test_page_has_no_addresses(make_run):
    html = write_report(make_run()).read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'<>]*", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "@import" not in html
    assert "url(" not in html.split("</style>")[0]


def test_ids_are_unique_and_references_resolve(make_run):
    html = write_report(make_run()).read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) > 10
    assert [name for name, times in Counter(ids).items() if times > 1] == []
    targets = re.findall(r'(?:href="|url\()#([^")]*)', html)
    assert len(targets) > 10
    assert set(targets) <= set(ids)


def test_all_text_is_escaped(read, make_run):
    nasty = "<script>alert('x')</script>&\""
    cell = Cell(((Edge(nasty, 0), Edge("none", 1)),), (2,))
    genotype = Genotype(nasty, (("normal", cell),))
    run = make_run(genotype=genotype, ops=("none", nasty), edges=2, command=nasty, method=nasty)
    config = json.loads((run / "config.json").read_text())
    config["settings"] = {nasty: nasty, f"a.{nasty}": [nasty]}
    config["environment"][nasty] = nasty
    config["data"]["name"] = nasty
    (run / "config.json").write_text(json.dumps(config))
    page = read(run)
    assert "script" not in page.tags
    assert page.text.count("<script>") > 10


def test_same_run_same_bytes(make_run):
    run = make_run()
    names = ("report.html", "cell-normal.svg", "cell-reduce.svg")
    write_report(run)
    first = [(run / name).read_bytes() for name in names]
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "svg.fonttype": "path"}):
        write_report(run)
    assert [(run / name).read_bytes() for name in names] == first


def test_drawing_leaves_matplotlib_as_it_was(make_run):
    before = dict(matplotlib.rcParams)
    write_report(make_run())
    assert dict(matplotlib.rcParams) == before


def test_one_epoch_and_missing_values_are_drawn(read, make_run):
    run = make_run(epochs=1)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row.pop("test_accuracy", None)
        row["valid_loss"] = float("nan")
        row["train_accuracy"] = None
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = read(run).text
    assert "Training loss" in text
    assert "Training accuracy" not in text


def test_an_epoch_that_was_run_again_counts_once(make_run):
    run = make_run()
    html = write_report(run).read_bytes()
    lines = (run / "metrics.jsonl").read_text().splitlines()
    stale = [json.dumps(json.loads(line) | {"train_loss": 99.0, "genotype": "stale"}) for line in lines[5:8]]
    (run / "metrics.jsonl").write_text("\n".join(lines[:5] + stale + lines[5:]) + "\n")
    assert write_report(run).read_bytes() == html


@pytest.mark.parametrize("name", ["config.json", "genotype.json", "metrics.jsonl", "result.json"])
@pytest.mark.parametrize("damage", ["missing", "cut", "binary", "list"])
def test_a_missing_or_damaged_file_is_named(make_run, name, damage):
    run = make_run()
    path = run / name
    text = path.read_text()
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_text(text[: len(text) // 2 + 1])
    elif damage == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    else:
        path.write_text("[1, 2]\n")
    before = {path.name for path in run.iterdir()}
    with pytest.raises(UserError, match=re.escape(name)) as caught:
        write_report(run)
    assert "\n" not in str(caught.value)
    assert {path.name for path in run.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("config.json", ("schema",), "dnas.config/9"),
        ("config.json", ("settings",), [1]),
        ("config.json", ("environment",), "x"),
        ("config.json", ("data",), 3),
        ("result.json", ("schema",), None),
        ("result.json", ("retrain",), 3),
        ("result.json", ("retrain", "test_accuracy"), None),
        ("result.json", ("retrain", "test_accuracy"), 97.8),
        ("result.json", ("retrain", "test_accuracy"), "0.97"),
        ("result.json", ("retrain", "test_images"), 0),
        ("result.json", ("retrain", "params"), -1),
        ("result.json", ("retrain", "params"), 1.5),
        ("result.json", ("retrain", "macs"), True),
        ("result.json", ("retrain", "train_seconds"), "soon"),
        ("result.json", ("baseline",), {}),
        ("result.json", ("baseline",), [3]),
        ("result.json", ("baseline", 0, "genotype"), None),
        ("result.json", ("search",), "yes"),
        ("result.json", ("search", "seconds"), "long"),
        ("result.json", ("ops", "normal"), ["none"]),
        ("result.json", ("ops", "normal"), [1]),
        ("genotype.json", ("cells",), {}),
        ("genotype.json", ("cells", "../up"), {"nodes": [], "concat": []}),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence(make_run, name, path, value):
    run = make_run()
    content = json.loads((run / name).read_text())
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (run / name).write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        write_report(run)
    assert "\n" not in str(caught.value)
    assert str(run) in str(caught.value)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "one"},
        {"epoch": None},
        {"phase": 3},
        {"weights": {"normal": [[0.5, 0.5]], "reduce": [[1.0]]}},
        {"weights": {"normal": [[0.5], [0.5, 0.5]], "reduce": [[1.0]]}},
        {"entropy": {"normal": "high"}},
        {"train_loss": "low"},
        {"genotype": 5},
    ],
)
def test_a_wrong_line_is_named(make_run, change):
    run = make_run()
    lines = (run / "metrics.jsonl").read_text().splitlines()
    lines[3] = json.dumps(json.loads(lines[3]) | change)
    (run / "metrics.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"metrics\.jsonl' line 4"):
        write_report(run)


@pytest.mark.parametrize("known", [{}, {"true_accuracy": 0.9347, "rank": 447}], ids=["unknown", "known"])
def test_a_search_without_retraining_says_what_is_known(make_run, known):
    run = make_run(baselines=())
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps(result | {"retrain": None, "baseline": [], "known": known}))
    page = write_report(run).read_text()
    assert ("93.47\u00a0%" in page) == ("rank 447" in page) == bool(known)
    assert ("was not trained" in page) == (not known)
    assert "Test accuracy" not in page


def test_no_run_directory(tmp_path):
    with pytest.raises(UserError, match="no run directory"):
        write_report(tmp_path / "nowhere")


def test_a_file_that_cannot_be_replaced_is_told_and_nothing_is_left_over(make_run):
    run = make_run()
    (run / "report.html").mkdir()
    before = {path.name for path in run.iterdir()} | {"cell-normal.svg", "cell-reduce.svg"}
    with pytest.raises(UserError, match=r"cannot write .*report\.html"):
        write_report(run)
    assert {path.name for path in run.iterdir()} == before
