"""A whole front on a made-up table: its points, numbers, page and files, and that it goes on where it stopped."""

import csv
import json
import math
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnas.benchmarks import nasbench201 as benchmark
from dnas.cli import main
from dnas.genotype import load
from dnas.hardware.limits import amount
from dnas.hardware.shipped import find
from dnas.pareto import pareto
from dnas.pareto.front import nondominated
from dnas.pareto.record import FOUND, RANDOM, SUPERNET, TRUE, WEIGHTS, Front, plane
from dnas.pareto.request import Request
from dnas.pareto.run import execute
from dnas.pareto.score import SCORES, line
from dnas.pareto.search import prepare, search
from dnas.run.console import Screen
from dnas.run.interrupt import Interrupted, Stop
from dnas.study.request import Request as Searches
from dnas.study.request import parse_arms
from dnas.study.verdict import shown
from search_spaces import nasbench201

SETTINGS = (
    "space.channels=2",
    "space.cells=1",
    "space.ops=none,skip_connect,nor_conv_1x1",
    "search.epochs=2",
    "search.batch_size=8",
    "search.alpha_lr=0.05",
)
FILES = ("front.csv", "front.json", "front.html")
Made = tuple[Path, Front]
Sentence = Callable[..., AbstractContextManager[None]]


@pytest.fixture(scope="module")
def request_of(images: Path, table_file: Path) -> Callable[..., Request]:
    def make(**changes: Any) -> Request:
        own = {"truth": "cifar10", "table": table_file, **changes}
        searches = Searches("nasbench201", parse_arms(["darts"]), (0, 1), f"npz:{images}", "tiny", SETTINGS, **own)
        return Request(searches, "raspi4", targets=5, refine=12)

    return make


@pytest.fixture(scope="module")
def made(request_of: Callable[..., Request], tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("front") / "one"
    return folder, execute(request_of(), folder, Screen(), Stop(), "dnas pareto --hardware raspi4")


@pytest.fixture(scope="module")
def rows(made: Made) -> list[dict[str, str]]:
    with (made[0] / "front.csv").open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_points_have_the_costs_of_the_profile_and_the_accuracies_of_the_table(made: Made, table_file: Path) -> None:
    front, table = made[1], benchmark.load(table_file)
    space = nasbench201.space(classes=2)
    model = next(one for one in find("raspi4").models if one.metric == "latency").fitting(space.name, space.spec)
    for kind in (WEIGHTS, SUPERNET, RANDOM, TRUE):
        assert front.of(kind)
    for point in front.points:
        assert point.cost == pytest.approx(model.predict(space.spec, point.genotype))
        assert point.true == table.accuracy(point.genotype, "cifar10")
        assert (point.supernet is not None) == point.found == bool(point.file)
        assert point.target is None or point.cost <= point.target * (1 + 1e-9)
    assert {point.seed for point in front.of(*FOUND)} == {0, 1}


def test_no_point_dominates_the_true_front(made: Made) -> None:
    front = made[1]
    true = plane(front.of(TRUE))
    for cost, accuracy in plane([point for point in front.points if point.kind != TRUE]):
        assert ((true[:, 0] <= cost) & (true[:, 1] >= accuracy)).any()
    assert nondominated(true).all()
    for one in front.measured:
        assert 0 <= one.hypervolume <= one.relative <= 1  # type: ignore[operator]
        assert one.distance is not None
        assert one.distance >= 0


def test_points_by_the_supernet_are_its_own_front(made: Made) -> None:
    for seed in (0, 1):
        own = [point for point in made[1].of(SUPERNET) if point.seed == seed]
        assert nondominated(np.array([(point.cost, point.supernet) for point in own])).all()
        # None of what was found by weights is better than they are.
        for point in made[1].of(WEIGHTS):
            if point.seed == seed:
                assert any(one.cost <= point.cost and one.supernet >= point.supernet for one in own)  # type: ignore[operator]


def test_the_front_is_what_no_found_point_is_better_than(made: Made) -> None:
    front = made[1]
    own = front.of(*FOUND)
    assert [point.on_front for point in own] == nondominated(plane(own)).tolist()
    assert {point.genotype for point in front.front} == {point.genotype for point in own if point.on_front}
    costs = [point.cost for point in front.front]
    assert costs == sorted(costs)


def test_random_sets_are_as_large_as_what_was_found(made: Made) -> None:
    front = made[1]
    count = len({point.genotype for point in front.of(*FOUND)})
    sets = [[point for point in front.of(RANDOM) if point.draw == draw] for draw in range(10)]
    assert {len(own) for own in sets} == {count} == {front.measured[0].points}
    named = {one.name: one for one in front.measured}
    assert named[f"random, {count} architectures"].sets == 10
    assert {"found, all seeds", "found, seed 0", "found, seed 1"} <= set(named)
    assert any(name.startswith("by weights, seed ") for name in named)


def test_the_csv_holds_every_point(made: Made, rows: list[dict[str, str]]) -> None:
    for row, point in zip(rows, made[1].points, strict=True):
        assert row["architecture"] == line(point.genotype)
        assert (row["kind"], float(row["cost"]), float(row["true_accuracy"])) == (point.kind, point.cost, point.true)
        assert (row["on_front"] == "true") == point.on_front
        if row["file"]:
            assert load(made[0] / row["file"]) == point.genotype
    record = json.loads((made[0] / "front.json").read_text())
    assert [point["cost"] for point in record["points"]] == [float(row["cost"]) for row in rows]


def test_the_numbers_of_the_page_are_those_of_the_csv(made: Made, rows: list[dict[str, str]], read_page: Any) -> None:
    text = (made[0] / "front.html").read_text(encoding="utf-8")
    page = read_page(text)
    assert page.tags["script"] == 0
    assert not [value for name, value in page.attributes if name in ("src", "href") and not str(value).startswith("#")]
    links = {value for name, value in page.attributes if name == "href"}
    anchors = {f"#{value}" for name, value in page.attributes if name == "id"}
    assert links <= anchors
    best = [row for row in rows if row["kind"] in FOUND and row["on_front"] == "true"]
    for row in best:
        cells = (amount(float(row["cost"]), "latency"), shown(float(row["true_accuracy"])), row["architecture"])
        for cell in (*cells, shown(float(row["supernet_accuracy"])), row["file"]):
            assert cell in page.text, cell
    assert len([link for link in anchors if link.startswith("#row-")]) == len({row["architecture"] for row in best})
    # Every point is in the wide picture and in the narrow one, and says what it is; one title is the page's own.
    assert page.tags["title"] == 2 * len(rows) + 1
    for one in made[1].measured:
        assert f"{one.hypervolume:.4f}" in page.text


def test_the_same_command_does_nothing_twice(made: Made, request_of: Callable[..., Request]) -> None:
    folder = made[0]
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*") if path.is_file()}
    texts = [(folder / name).read_bytes() for name in FILES]
    execute(request_of(), folder, Screen(), Stop(), "dnas pareto --hardware raspi4")
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*") if path.is_file()} == before
    assert [(folder / name).read_bytes() for name in FILES] == texts


def test_a_stopped_command_ends_in_the_same_csv(
    made: Made, request_of: Callable[..., Request], tmp_path: Path, stop_after: Callable[[int], Stop]
) -> None:
    folder = tmp_path / "one"
    # The searches are over; it stops while the first supernet is asked.
    shutil.copytree(made[0] / "runs", folder / "runs")
    for path in folder.rglob(SCORES):
        path.unlink()
    with pytest.raises(Interrupted):
        execute(request_of(), folder, Screen(), stop_after(5), "dnas pareto")
    assert len(json.loads((folder / "runs" / "seed-0" / SCORES).read_text())) == 4
    assert not (folder / "front.csv").exists()
    execute(request_of(), folder, Screen(), Stop(), "dnas pareto")
    assert (folder / "front.csv").read_bytes() == (made[0] / "front.csv").read_bytes()


def test_a_search_that_was_stopped_goes_on(
    made: Made, request_of: Callable[..., Request], tmp_path: Path, stop_after: Callable[[int], Stop]
) -> None:
    request = request_of()
    folder = tmp_path / "one"
    prepared = prepare(request, folder, Screen())
    with pytest.raises(Interrupted):
        search(prepared._replace(seeds=prepared.seeds[:1]), Screen(), stop_after(1), "dnas pareto", together=False)
    again = prepare(request, folder, Screen())
    search(again._replace(seeds=again.seeds[:1]), Screen(), Stop(), "dnas pareto", together=False)
    ends = [json.loads((root / "runs" / "seed-0" / "genotype.json").read_text()) for root in (folder, made[0])]
    assert ends[0] == ends[1]


def test_supernets_serve_another_cost(made: Made, images: Path, tmp_path: Path) -> None:
    given = {"data": f"npz:{images}", "preset": "tiny", "settings": SETTINGS, "runs": made[0] / "runs"}
    front = pareto(
        "nasbench201", "darts", 1, tmp_path / "params", metric="params", targets=3, refine=4, truth="supernet", **given
    )  # type: ignore[arg-type]
    assert not (tmp_path / "params" / "runs").exists()
    assert front.title == "params"
    assert not front.judged
    assert not front.of(TRUE)
    assert all(point.accuracy == point.supernet and point.true is None for point in front.points)
    assert all(one.relative is None and one.distance is None for one in front.measured)
    assert math.isclose(front.box.worst, 0)
    assert "supernet&#x27;s accuracy" in (tmp_path / "params" / "front.html").read_text(encoding="utf-8")


@pytest.fixture
def refused(
    capsys: pytest.CaptureFixture[str], images: Path, table_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Run `dnas pareto` with words that are right but for those given; return the one sentence that refuses it."""
    monkeypatch.chdir(tmp_path)
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    right = ["--preset", "tiny", "--data", f"npz:{images}", "--table", str(table_file), "--truth", "cifar10", *settings]

    def run(*words: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as stop:
            main(["pareto", *right, *words])
        told = capsys.readouterr().err
        assert stop.value.code == 2, told
        assert told.startswith("dnas: error: ")
        assert told.count("\n") == 1
        assert ". " not in told
        assert sorted(tmp_path.rglob("*")) == before
        return told

    return run


RASPI = ("--hardware", "raspi4")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), ("--metric latency", "--hardware")),
        ((*RASPI, "--metric", "latencies"), ("latencies", "did you mean 'latency'")),
        ((*RASPI, "--metric", "energy"), ("energy", "latency")),
        (("--hardware", "raspi9"), ("raspi9", "raspi4")),
        ((*RASPI, "--targets", "1"), ("--targets", "at least 2")),
        ((*RASPI, "--refine", "-1"), ("--refine", "-1")),
        ((*RASPI, "--table", "nowhere.npz"), ("nowhere.npz", "no such file")),
        ((*RASPI, "--truth", "cifar11"), ("cifar11", "cifar10")),
        ((*RASPI, "--truth", "retrain"), ("--truth retrain", "dnas train")),
        (("--space", "darts", "--metric", "macs"), ("darts", "no table", "--truth")),
        ((*RASPI, "--method", "dartz"), ("dartz", "darts")),
        ((*RASPI, "--seeds", "none"), ("--seeds", "none")),
    ],
)
def test_bad_input_is_one_sentence(refused: Callable[..., str], words: tuple[str, ...], told: tuple[str, ...]) -> None:
    text = refused(*words)
    for word in told:
        assert word in text


def test_a_directory_of_something_else_is_left_alone(refused: Callable[..., str], tmp_path: Path, made: Made) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    assert "front.json" in refused(*RASPI, "--out", "mine")
    shutil.copytree(made[0], tmp_path / "there")
    assert "raspi4.latency" in refused("--metric", "macs", "--seeds", "2", "--out", "there")
    assert "search.epochs=2 instead of 3" in refused(
        *RASPI, "--seeds", "2", "--out", "there", "--set", "search.epochs=3"
    )
