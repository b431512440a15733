"""What a study is asked to do: arms and seeds as a user writes them, and whether a run that exists fits."""

import json
from pathlib import Path

import pytest

from dnas.errors import UserError
from dnas.study import study
from dnas.study.request import Request, difference, parse_arms, parse_seeds, split_methods


def test_arms() -> None:
    plain, own = parse_arms(["darts", " darts@search.alpha_lr=0.003@search.epochs=2"])
    assert (plain.method, plain.assignments) == ("darts", ())
    assert (own.method, own.assignments) == ("darts", ("search.alpha_lr=0.003", "search.epochs=2"))
    assert own.folder == own.text == "darts@search.alpha_lr=0.003@search.epochs=2"


def test_folders_of_different_arms_differ_and_stay_below_the_study() -> None:
    texts = ["darts@search.x=a/b", "darts@search.x=a%2fb", "darts@search.x=a b", "darts@search.x=.."]
    folders = [arm.folder for arm in parse_arms(texts)]
    assert len(set(folders)) == len(texts)
    assert not any("/" in folder or folder in (".", "..") for folder in folders)


@pytest.mark.parametrize("methods", [[], [""], ["@search.x=1"], ["darts@x"], ["darts", "darts"]])
def test_bad_arms(methods: list[str]) -> None:
    with pytest.raises(UserError, match="--methods"):
        parse_arms(methods)


@pytest.mark.parametrize(
    "arms",
    [
        ["darts"],
        ["darts", " darts@search.epochs=2", "dart", "darts"],
        ["darts@space.ops=none,skip_connect", "darts"],
        ["darts@space.ops=none, skip_connect@search.epochs=2", "dart"],
        ["darts@search.epochs=2@space.ops=none,skip_connect", "darts@space.ops=none,skip_connect,avg_pool_3x3"],
        ["darts@search.epoch=2", "b"],
        ["darts", ""],
    ],
)
def test_arms_are_divided_at_commas_but_lists_are_not(arms: list[str]) -> None:
    assert split_methods(",".join(arms), "nasbench201") == arms


@pytest.mark.parametrize(("text", "seeds"), [("3", (0, 1, 2)), ("7,1,4", (1, 4, 7)), ("9,", (9,)), ("1", (0,))])
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "0", "-1", "two", "1,1", ",", "1.5", "99999999"])
def test_bad_seeds(text: str) -> None:
    with pytest.raises(UserError, match="--seeds"):
        parse_seeds(text)


@pytest.mark.parametrize("seeds", [0, -1, 1001, (), (1, 1), (3, -1)])
def test_bad_seeds_in_python(seeds: int | tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--seeds"):
        study("nasbench201", ["darts"], seeds, tmp_path / "study")
    assert list(tmp_path.iterdir()) == []


def test_a_negative_number_of_architectures_to_rank(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--ranking"):
        study("nasbench201", ["darts"], 1, tmp_path / "study", ranking=-1)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_exists_fits_only_the_same_settings() -> None:
    request = Request("nasbench201", parse_arms(["darts", "darts@search.alpha_lr=0.5"]), (0, 1), preset="tiny")
    config = request.config(request.arms[0], 0, retrained=False)
    written = json.loads(json.dumps({**config.to_json(), "data": {"name": config.data}}))
    assert difference(config, written) == ""
    assert difference(request.config(request.arms[0], 1, retrained=False), written) == "seed 0 instead of 1"
    other = difference(request.config(request.arms[1], 0, retrained=False), written)
    assert other == "search.alpha_lr=0.02 instead of 0.5"
    assert "retrain.epochs" in difference(request.config(request.arms[0], 0, retrained=True), written)
