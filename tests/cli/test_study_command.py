"""`dnas study`: what its words ask for, its help, and bad input, which is refused before anything is written."""

import importlib
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dnas.cli import main
from dnas.cli.study import study
from dnas.study.request import Request, parse_arms, split_methods

Run = Callable[..., str]
HOW_TO_GET = ("NATS-tss-v1_0-3ffb9-simple", "scripts/convert_nats_bench")


@pytest.fixture
def refused_study(refused: Run, images: Path, table_file: Path, small_words: list[str]) -> Run:
    """Run a study that is right but for the given words, which come last and so count."""
    files = ["--data", f"npz:{images}", "--table", str(table_file)]
    right = ["--seeds", "1", "--truth", "cifar10", "--ranking", "0", *files, *small_words]
    return lambda *words: refused("study", *right, *words)


def test_help_names_and_explains_every_option(printed: Run) -> None:
    text = " ".join(printed("study", "--help").split())
    for option in study.params:
        for name in (*option.opts, *option.secondary_opts):
            assert name in text
        assert " ".join(option.help.split()) in text


def test_the_examples_in_help_are_right(printed: Run) -> None:
    lines = re.findall(r"^ +dnas (study .*)$", printed("study", "--help"), re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        given = study.make_context("study", shlex.split(line)[1:]).params
        arms = parse_arms(split_methods(given["methods"], given["space"]))
        request = Request(given["space"], arms, (0,), preset=given["preset"])
        for arm in request.arms:
            assert request.config(arm, 0, retrained=True).space == given["space"]


class Asked(Exception):
    """Carries what a study was asked to do, instead of doing it."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Request, Path]]:
    """Return what `dnas study` with these words would do, and where."""

    def note(request: Request, root: Path, *_: object) -> None:
        raise Asked(request, root)

    monkeypatch.setattr(importlib.import_module("dnas.study.run"), "run", note)
    monkeypatch.chdir(tmp_path)

    def ask(*words: str) -> tuple[Request, Path]:
        with pytest.raises(Asked) as caught:
            main(["study", *words])
        assert list(tmp_path.iterdir()) == []
        return caught.value.args

    return ask


def test_without_options_darts_runs_with_three_seeds(asked: Callable[..., tuple[Request, Path]]) -> None:
    request, root = asked()
    assert request == Request("nasbench201", parse_arms(["darts"]), (0, 1, 2), preset="small")
    assert root == Path("studies/nasbench201-cifar10")


def test_every_option_arrives(asked: Callable[..., tuple[Request, Path]]) -> None:
    words = "--space darts --methods darts,darts@search.alpha_lr=0.5 --seeds 7,3 --preset tiny --data digits"
    more = "--data-dir d --truth retrain --table t.npz --ranking 9 --together --set search.epochs=2 --study-dir here"
    request, root = asked(*words.split(), *more.split())
    assert root == Path("here")
    assert request == Request(
        "darts",
        parse_arms(["darts", "darts@search.alpha_lr=0.5"]),
        (3, 7),
        data="digits",
        preset="tiny",
        assignments=("search.epochs=2",),
        truth="retrain",
        table=Path("t.npz"),
        ranking=9,
        together=True,
        data_dir="d",
    )


@pytest.mark.parametrize("path", ["npz:a/b c.npz", "folder:../x"])
def test_the_default_directory_is_one_folder_whatever_the_data_are_called(
    asked: Callable[..., tuple[Request, Path]], path: str
) -> None:
    _, root = asked("--data", path)
    assert root.parent == Path("studies")
    assert re.fullmatch(r"[A-Za-z0-9-]+", root.name)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--seeds", "0"], ["--seeds", "from 1 to 1000"]),
        (["--seeds", "x"], ["--seeds", "'x'"]),
        (["--seeds", "1,1"], ["--seeds", "different seeds"]),
        (["--seeds", "-1"], ["--seeds", "'-1'"]),
        (["--seeds", "4294967296,"], ["--seed", "4294967295", "4294967296"]),
        (["--methods", ""], ["--methods", "METHOD@NAME=VALUE"]),
        (["--methods", "dart"], ["unknown method 'dart'", "did you mean 'darts'"]),
        (["--methods", "darts,dart"], ["unknown method 'dart'"]),
        (["--methods", "darts,darts"], ["--methods", "'darts' is named twice"]),
        (["--methods", "darts@search.alpha_lr=1, darts@search.alpha_lr=1"], ["--methods", "is named twice"]),
        (["--methods", "darts@search.epochs"], ["--methods", "METHOD@NAME=VALUE", "'darts@search.epochs'"]),
        (["--methods", "darts,darts@search.epoch=3"], ["search.epoch", "did you mean 'search.epochs'"]),
        (["--methods", "darts,darts@search.epochs=two"], ["search.epochs", "expected an int", "'two'"]),
        (["--methods", "darts@search.batch_size=5000"], ["search.batch_size is 5000"]),
        (["--methods", "darts@space.ops=skip_conect"], ["did you mean 'skip_connect'"]),
        (["--methods", "darts@space.ops=none,skip_conect"], ["did you mean 'skip_connect'"]),
        (["--methods", "darts@search.epochs=2,dart"], ["unknown method 'dart'"]),
        (["--set", "search.epoch=3"], ["did you mean 'search.epochs'"]),
        (["--set", "search.epochs=0"], ["search.epochs", "at least 1"]),
        (["--space", "nasbench"], ["unknown space 'nasbench'", "did you mean 'nasbench201'"]),
        (["--space", "darts", "--set", "space.cells=3"], ["'darts' has no table", "nasbench201"]),
        (["--preset", "tny"], ["unknown preset 'tny'", "did you mean 'tiny'"]),
        (["--data", "digit"], ["unknown data set 'digit'", "did you mean 'digits'"]),
        (["--data", "npz:nowhere.npz"], ["npz:nowhere.npz", "no such file"]),
        (["--data", "cifar10"], ["dnas data cifar10"]),
        (["--truth", "svhn"], ["'svhn'", "cifar10, other", "--truth"]),
        (["--truth", "cifar100"], ["'cifar100'", "did you mean 'cifar10'"]),
        (["--ranking", "-1"], ["--ranking", "-1"]),
        (["--ranking", "many"], ["--ranking", "many"]),
        (["--table", "nowhere.npz"], ["nowhere.npz", *HOW_TO_GET]),
        (["--table", "."], ["'.'", "directory"]),
        (["--trutth", "cifar10"], ["did you mean '--truth'"]),
        (["nasbench201"], ["nasbench201", "dnas study --help"]),
    ],
)
def test_bad_words(refused_study: Run, words: list[str], says: list[str]) -> None:
    text = refused_study(*words)
    for word in says:
        assert word in text


def test_a_table_that_is_not_in_the_data_folder_is_told_with_how_to_get_it(refused: Run) -> None:
    text = refused("study", "--data", "digits", "--truth", "cifar10", "--data-dir", "nowhere")
    for words in ("nowhere/nb201.npz", *HOW_TO_GET):
        assert words in text


def test_searched_data_that_the_table_lacks(refused: Run, images: Path, table_file: Path) -> None:
    text = refused("study", "--data", f"npz:{images}", "--table", str(table_file))
    for words in (f"npz:{images}", "cifar10, other", "--truth retrain"):
        assert words in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda arrays: {name: values[:100] for name, values in arrays.items()}, "ops has shape (100, 6)"),
        (lambda arrays: arrays | {"ops": arrays["ops"][:100]}, "ops has shape (100, 6)"),
        (lambda arrays: arrays | {"ops": arrays["ops"][:, :5]}, "ops has shape (15625, 5)"),
        (lambda arrays: arrays | {"test200_cifar10": arrays["test200_cifar10"][:9]}, "test200_cifar10 has shape (9,)"),
        (lambda arrays: {name: arrays[name] for name in arrays if name != "edges"}, "no array named edges"),
    ],
)
def test_a_table_of_another_shape(
    refused_study: Run, tmp_path: Path, table_file: Path, change: Callable[[dict], dict], says: str
) -> None:
    with np.load(table_file) as archive:
        np.savez(tmp_path / "other.npz", **change(dict(archive)))
    text = refused_study("--table", "other.npz")
    assert says in text
    assert "convert_nats_bench" in text


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_study_directory_that_is_a_file(refused_study: Run, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    assert f"'{place}" in refused_study("--study-dir", place)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["notes.txt", "config.json"])
def test_a_study_directory_that_holds_something_else(refused_study: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("{}")
    assert "'mine'" in refused_study("--study-dir", "mine")
    assert (tmp_path / "mine" / name).read_text() == "{}"


def test_every_method_is_checked_before_the_first_one_runs(refused_study: Run) -> None:
    assert "search.batch_size is 5000" in refused_study("--methods", "darts,darts@search.batch_size=5000")


def test_without_a_table_something_must_be_trained(refused_study: Run) -> None:
    assert "retrain.epochs" in refused_study("--truth", "retrain", "--set", "retrain.epochs=0")
    assert "retrain.epochs" in refused_study("--truth", "retrain", "--methods", "darts,darts@retrain.epochs=0")
