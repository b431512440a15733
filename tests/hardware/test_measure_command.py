"""`dnas profile`: a profile that can be read, and bad input in one sentence."""

from pathlib import Path

import numpy as np
import pytest

from dnas.cli import main
from dnas.cli.profile import profile
from dnas.hardware import read_profile
from dnas.selection import random_genotype
from search_spaces import nasbench201

SMALL = [
    *("--space", "nasbench201", "--image", "8x8x3", "--classes", "3", "--networks", "2", "--calibration", "2"),
    *("--set", "retrain.channels=2", "--set", "retrain.cells=1", "--set", "space.ops=none,skip_connect"),
    *("--rounds", "1"),
]


def test_a_profile_is_measured_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "my.json"
    with pytest.raises(SystemExit) as stop:
        main(["profile", *SMALL, "--name", "here", "--batch-size", "2", "--out", str(out)])
    assert stop.value.code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my.json", "my.png"]
    assert (tmp_path / "my.png").read_bytes().startswith(b"\x89PNG")
    read = read_profile(out)
    (model,) = read.models
    assert (read.name, model.kind, model.metric, model.unit) == ("here", "measured", "latency", "ms")
    assert (model.space, model.batch_size, model.dtype) == ("nasbench201", 2, "float32")
    assert model.network == {"channels": 2, "cells": 1, "affine": True, "classes": 3, "image": [8, 8, 3]}
    assert model.quality is not None
    assert model.quality.networks == 2
    assert "jax" in model.source
    space = nasbench201.space(classes=3, ops=("none", "skip_connect"))
    assert model.predict(space.spec, random_genotype(space, np.random.default_rng(0))) > 0
    text = capsys.readouterr().out
    for word in ("Skip", "Stem", "Spearman", "Kendall", str(out)):
        assert word in text


def test_help_explains_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["profile", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for option in profile.params:
        assert option.opts[0] in text
        assert " ".join(option.help.split()) in text  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--space", "dart"], ["unknown space 'dart'", "did you mean 'darts'"]),
        (["--image", "32x32"], ["--image", "32x32x3", "'32x32'"]),
        (["--image", "0x8x3"], ["--image", "'0x8x3'"]),
        (["--image", "9x9x3"], ["9x9", "multiples of 4"]),
        (["--networks", "0"], ["--networks"]),
        (["--calibration", "0"], ["--calibration"]),
        (["--networks", "99"], ["--networks", "ask for fewer"]),
        (["--preset", "tny"], ["unknown preset 'tny'"]),
        (["--set", "retrain.chanels=2"], ["did you mean 'retrain.channels'"]),
        (["--set", "retrain.channels=0"], ["at least 1"]),
        (["--name", "a b"], ["--name", "'a b'"]),
        (["--batch-size", "0"], ["--batch-size"]),
        (["--dtype", "int8"], ["--dtype"]),
        (["--out", "missing/my.json"], ["--out", "'missing' does not exist"]),
        (["--out", "."], ["--out", "is a folder"]),
        (["--out", "my.png"], ["--out", "my.json"]),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    words: list[str],
    says: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["profile", *SMALL, "--out", "my.json", *words])
    captured = capsys.readouterr()
    assert stop.value.code == 2, captured
    assert captured.err.startswith("dnas: error: ")
    assert captured.err.count("\n") == 1
    assert all(part in captured.err for part in says), captured.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my.json"
    out.write_text("mine", encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        main(["profile", *SMALL, "--out", str(out)])
    assert stop.value.code == 2
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "mine"


def test_an_interrupted_measurement_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dnas.hardware.measure.device.timed", stop)
    with pytest.raises(SystemExit) as caught:
        main(["profile", *SMALL, "--out", str(tmp_path / "my.json")])
    assert caught.value.code == 130
    assert list(tmp_path.iterdir()) == []
