"""Bad input to the command line: one sentence on standard error, exit code 2, nothing written."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search_spaces.darts import published

Run = Callable[..., str]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["serch"], "did you mean 'search'"),
        (["search", "--preste", "tiny"], "did you mean '--preset'"),
        (["search", "--space", "dart"], "unknown space 'dart': did you mean 'darts'"),
        (["search", "--method", "dart"], "unknown method 'dart': did you mean 'darts'"),
        (["search", "--preset", "tny"], "unknown preset 'tny': did you mean 'tiny'"),
        (["search", "--data", "digit"], "unknown data set 'digit': did you mean 'digits'"),
        (["search", "--data", "cifar10"], "dnas data cifar10"),
        (["search", "--set", "search.epoch=3"], "did you mean 'search.epochs'"),
        (["search", "--set", "search.epochs=three"], "expected an int, got 'three'"),
        (["search", "--set", "search.epochs=0"], "search.epochs: expected at least 1, got 0"),
        (["search", "--set", "retrain.epochs=-1"], "retrain.epochs: expected a number that is not negative, got -1"),
        (["search", "--set", "search.weight_lr=-0.1"], "search.weight_lr"),
        (["search", "--set", "search.batch_size=0"], "search.batch_size: expected at least 1, got 0"),
        (["search", "--set", "search.batch_size=5000"], "search.batch_size is 5000"),
        (["search", "--set", "retrain.batch_size=5000"], "retrain.batch_size is 5000"),
        (["search", "--set", "search.train_share=1.5"], "search.train_share"),
        (["search", "--set", "search.chunk_steps=-1"], "search.chunk_steps"),
        (["search", "--set", "search.cutout=16"], "cutout is 16"),
        (["search", "--set", "space.channels=0"], "channels: expected at least 1, got 0"),
        (["search", "--set", "space.cells=2"], "space.cells: expected at least 3"),
        (["search", "--set", "space.nodes=-1"], "space.nodes: expected a number that is not negative"),
        (["search", "--set", "space.ops=none"], "at least one operation beside 'none'"),
        (["search", "--set", "space.ops=skip_conect"], "did you mean 'skip_connect'"),
        (["search", "--set", "space.dtype=float16"], "unknown dtype 'float16'"),
        (["search", "--set", "retrain.auxiliary=true"], "auxiliary head needs at least 32x32"),
        (["search", "--seed", "-1"], "--seed"),
        (["search", "--seed", "one"], "--seed"),
        (["search", "--baseline", "-1"], "--baseline"),
        (["search", "--resume", "runs/none"], "is not a run directory"),
        (["search", "--resume", "runs/none", "--seed", "0"], "--seed was given"),
        (["search", "--resume", "runs/none", "--set", "search.epochs=3"], "--set was given"),
        (["train"], "needs a GENOTYPE"),
        (["train", "DARTS_V3"], "unknown genotype 'DARTS_V3': did you mean 'DARTS_V2'"),
        (["train", "absent.json"], "cannot read the genotype 'absent.json'"),
        (["train", "DARTS_V2", "--set", "search.epochs=3"], "only settings that begin with 'retrain.'"),
        (["report", "runs/none"], "runs/none"),
        (["methods", "zzz"], "no method matches 'zzz'"),
        (["settings", "zzz"], "no setting matches 'zzz'"),
        (["search", "--method", "os:getcwd"], "expected a function (space, *, epochs, steps_per_epoch, ...)"),
        (["search", "--method", "nowhere:found"], "start dnas in the folder that holds it"),
    ],
)
def test_bad_words(refused: Run, words: list[str], says: str) -> None:
    assert says in refused(*words)


def test_images_too_small_for_the_reductions(refused: Run, tmp_path: Path) -> None:
    x, y = np.zeros((8, 6, 6), np.uint8), np.arange(8) % 2
    np.savez(tmp_path / "small.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert "need height and width to be multiples of 4" in refused("search", "--data", "npz:small.npz")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda g: g["cells"]["normal"]["nodes"][0][0].__setitem__(0, "sep_conv_9x9"), "unknown operation"),
        (lambda g: g["cells"]["normal"]["nodes"][0][0].__setitem__(1, 2), "expected a source from 0 to 1, got 2"),
        (lambda g: g["cells"]["reduce"].__setitem__("concat", [9]), "concat"),
        (lambda g: g["cells"].pop("reduce"), "expected the cells"),
        (lambda g: g.pop("schema"), "genotype"),
        (lambda g: g.__setitem__("space", "dart"), "unknown space 'dart'"),
    ],
)
def test_a_wrong_genotype_file(refused: Run, tmp_path: Path, change: Callable[[dict], object], says: str) -> None:
    genotype = published()["DARTS_V2"].to_json()
    change(genotype)
    (tmp_path / "g.json").write_text(json.dumps(genotype))
    assert says in refused("train", "g.json")


def test_a_genotype_that_is_not_json(refused: Run, tmp_path: Path) -> None:
    (tmp_path / "g.json").write_text("genotype = DARTS_V2")
    assert "is not JSON" in refused("train", "g.json")


def test_an_existing_run_directory(refused: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert "exists" in refused("search", "--run-dir", "run")
    assert "not made by dnas" in refused("search", "--run-dir", "run", "--overwrite")
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written(refused: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert "cannot make the run directory" in refused("search", "--run-dir", "file/run")


def test_a_damaged_config(refused: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"schema": "dnas.config/1", "space": "darts"}')
    assert "damaged" in refused("search", "--resume", "run")


@pytest.mark.parametrize(
    "words", [[], ["search"], ["study"], ["train"], ["report"], ["data"], ["data", "cifar10"], ["settings"]]
)
def test_every_help_has_an_example(printed: Run, words: list[str]) -> None:
    assert "Example" in printed(*words, "--help")


def test_settings_lists_every_name_with_its_preset_values(printed: Run) -> None:
    assert "search.epochs" in printed("settings", "search.epochs")
