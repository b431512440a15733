"""A whole study on a made-up table: judged by it, never run twice, extended, continued, and honest about failure."""

import csv
import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dnas.benchmarks import nasbench201 as benchmark
from dnas.errors import UserError
from dnas.genotype import load
from dnas.run.console import Screen
from dnas.run.interrupt import Interrupted, Stop
from dnas.study import study
from dnas.study.execute import execute
from dnas.study.record import FAILED, FINISHED, Study
from dnas.study.request import Request, parse_arms

SETTINGS = (
    "space.channels=2",
    "space.cells=1",
    "space.ops=none,skip_connect,nor_conv_1x1",
    "search.epochs=2",
    "search.batch_size=8",
    "search.alpha_lr=0.05",
)
QUICK = "darts@search.alpha_lr=0.3"
Run = Callable[..., Study]
Sentence = Callable[..., AbstractContextManager[None]]


@pytest.fixture(scope="module")
def run(images: Path, table_file: Path) -> Run:
    def make(folder: Path, methods: tuple[str, ...], seeds: int, **changes: Any) -> Study:
        given: dict[str, Any] = {
            "data": f"npz:{images}",
            "preset": "tiny",
            "settings": SETTINGS,
            "truth": "cifar10",
            "table": table_file,
            "ranking": 4,
        }
        return study("nasbench201", methods, seeds, folder, **(given | changes))

    return make


@pytest.fixture(scope="module")
def first(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    folder = tmp_path_factory.mktemp("study") / "one"
    return folder, run(folder, ("darts", QUICK), 2)


def stamps(folder: Path) -> dict[str, int]:
    """When each run's files were last written."""
    return {str(path): path.stat().st_mtime_ns for path in (folder / "runs").rglob("*") if path.is_file()}


def test_each_run_is_a_run_directory_judged_by_the_table(first: tuple[Path, Study], table_file: Path) -> None:
    folder, made = first
    table = benchmark.load(table_file)
    assert [(one.arm, one.seed, one.status) for one in made.outcomes] == [
        (arm, seed, FINISHED) for arm in ("darts", QUICK) for seed in (0, 1)
    ]
    for one in made.outcomes:
        path = folder / one.path
        assert (path / "report.html").is_file()
        genotype = load(path / "genotype.json")
        assert one.genotype == genotype
        assert one.score == table.accuracy(genotype, "cifar10")
        assert one.rank == table.rank(genotype, "cifar10")
        assert one.others == {"other": table.accuracy(genotype, "other")}
        assert one.epochs[-1].score == one.score
        assert [epoch.epoch for epoch in one.epochs] == [1, 2]
        assert one.epochs[-1].skips == sum(
            edge.op == "skip_connect" for node in genotype["cell"].nodes for edge in node
        )
        assert one.ranking is not None
        assert (one.ranking.count, one.ranking.top_count) == (4, 4)
        judged = json.loads((path / "judged.json").read_text())
        rates = table.seconds_per_mac
        assert rates is not None
        # 20 training images in minibatches of 8, twice.
        assert one.simulated_seconds == pytest.approx(6 * judged["step_macs"] * rates["cifar10"])
        assert not one.together


def test_outputs_hold_the_same_numbers(first: tuple[Path, Study]) -> None:
    folder, made = first
    with (folder / "study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["score"]) for row in rows] == [one.score for one in made.outcomes]
    written = json.loads((folder / "study.json").read_text())
    assert written["schema"] == "dnas.study/1"
    assert "<html" in (folder / "study.html").read_text()


def test_finished_runs_are_left_alone_and_more_methods_and_seeds_extend_a_study(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "growing"
    run(folder, ("darts",), 1)
    before = stamps(folder)
    page = (folder / "study.html").read_bytes()
    capsys.readouterr()
    run(folder, ("darts",), 1)
    assert "1 of 1 runs are complete already" in capsys.readouterr().out
    assert stamps(folder) == before
    assert (folder / "study.html").read_bytes() == page
    grown = run(folder, ("darts", QUICK), 2)
    assert len(grown.outcomes) == 4
    after = stamps(folder)
    assert {path: after[path] for path in before} == before


def test_a_run_made_with_other_settings_is_refused(run: Run, first: tuple[Path, Study]) -> None:
    folder, _ = first
    before = stamps(folder)
    with pytest.raises(UserError, match=r"search\.epochs=2 instead of 3.*--study-dir"):
        run(folder, ("darts",), 2, settings=(*SETTINGS, "search.epochs=3"))
    assert stamps(folder) == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", "{"),
        ("config.json", '{"data": "x"}'),
        ("result.json", "{"),
        ("result.json", "{}"),
        ("metrics.jsonl", "{"),
        ("metrics.jsonl", '{"phase": "search"}'),
        ("metrics.jsonl", '{"epoch": 1}'),
        ("judged.json", "{"),
        ("judged.json", '{"ranking": {"of": 4}}'),
    ],
)
def test_a_damaged_file_of_a_run_is_told(
    run: Run, first: tuple[Path, Study], sentence: Sentence, tmp_path: Path, name: str, content: str
) -> None:
    folder = Path(shutil.copytree(first[0], tmp_path / "damaged"))
    (folder / "runs" / "darts" / "seed-0" / name).write_text(content)
    before = stamps(folder)
    with sentence("seed-0", name):
        run(folder, ("darts",), 1)
    assert stamps(folder) == before


def test_runs_on_other_data_of_the_same_name_are_not_mixed(
    run: Run, first: tuple[Path, Study], sentence: Sentence, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(first[0], tmp_path / "other"))
    path = folder / "runs" / "darts" / "seed-1" / "config.json"
    config = json.loads(path.read_text())
    config["data"]["fingerprint"] = "another"
    path.write_text(json.dumps(config))
    before = stamps(folder)
    with sentence("npz:", "seed-1", "--study-dir"):
        run(folder, ("darts",), 3)
    assert stamps(folder) == before


def test_a_diverging_run_is_noted_and_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    wild = "darts@search.weight_lr=3e38@search.clip_norm=0"
    folder = tmp_path / "wild"
    made = run(folder, (wild, "darts"), 1)
    assert [one.status for one in made.outcomes] == [FAILED, FINISHED]
    assert "NaN or infinite" in made.outcomes[0].note
    before = stamps(folder)
    again = run(folder, (wild, "darts"), 1)
    assert again.outcomes[0].note == made.outcomes[0].note
    assert stamps(folder) == before


@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
def test_a_stopped_study_goes_on_to_the_same_end(
    run: Run,
    first: tuple[Path, Study],
    images: Path,
    table_file: Path,
    tmp_path: Path,
    stop_after: Callable[[int], Stop],
    together: bool,
) -> None:
    request = Request(
        "nasbench201",
        parse_arms(["darts"]),
        (0, 1),
        data=f"npz:{images}",
        preset="tiny",
        assignments=SETTINGS,
        truth="cifar10",
        table=table_file,
        ranking=4,
        together=together,
    )
    folder = tmp_path / "stopped"
    with pytest.raises(Interrupted):
        execute(request, folder, Screen(Console(quiet=True)), stop_after(1), "test")
    assert not list(folder.rglob("result.json"))
    made = run(folder, ("darts",), 2, together=together)
    assert [one.together for one in made.outcomes] == [together] * 2
    for ours, theirs in zip(made.outcomes, first[1].outcomes[:2], strict=True):
        last = [
            json.loads((place / "metrics.jsonl").read_text().splitlines()[-1])
            for place in (folder / ours.path, first[0] / theirs.path)
        ]
        if together:
            assert last[0]["train_loss"] == pytest.approx(last[1]["train_loss"], rel=1e-3)
        else:
            assert ours.genotype == theirs.genotype
            assert last[0]["train_loss"] == last[1]["train_loss"]


def test_without_a_table_the_found_networks_are_trained(images: Path, tiny: tuple[str, ...], tmp_path: Path) -> None:
    made = study("darts", ["darts"], 1, tmp_path / "trained", data=f"npz:{images}", preset="tiny", settings=tiny)
    [one] = made.outcomes
    result = json.loads((tmp_path / "trained" / one.path / "result.json").read_text())
    assert made.truth is None
    assert one.score == result["retrain"]["test_accuracy"]
    assert one.random_scores == tuple(row["test_accuracy"] for row in result["baseline"])
    assert (one.rank, one.ranking, one.simulated_seconds) == (None, None, None)
    assert (tmp_path / "trained" / "study.html").is_file()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"truth": None}, ["npz:", "--truth", "cifar10, other"]),
        ({"truth": "cifar100"}, ["cifar100", "did you mean 'cifar10'"]),
        ({"table": "nowhere.npz"}, ["nowhere.npz", "convert_nats_bench"]),
        ({"settings": ("search.epoch=3",)}, ["search.epochs"]),
        ({"preset": "huge"}, ["huge", "tiny"]),
    ],
)
def test_bad_requests_write_nothing(run: Run, tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        run(tmp_path / "bad", ("darts",), 1, **changes)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)
    assert not (tmp_path / "bad").exists()


def test_a_space_without_a_table_says_so(images: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'darts' has no table"):
        study("darts", ["darts"], 1, tmp_path / "bad", data=f"npz:{images}", truth="cifar10")
