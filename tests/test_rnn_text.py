"""The experiment on text, from its command line to its files."""

import json
import math
from pathlib import Path
from typing import Any

import click.testing
import pytest

from dnas.genotype import Genotype
from experiments.rnn_text import main
from search_spaces import rnn

TINY = ("space.units=3", "space.nodes=2", "search.batch_size=2", "retrain.units=3", "retrain.batch_size=2")
WORDS = ["--window", "4", "--epochs", "1", *(word for setting in TINY for word in ("--set", setting))]


@pytest.fixture
def abab(tmp_path: Path) -> Path:
    path = tmp_path / "abab.txt"
    path.write_text("abcd" * 60)
    return path


def call(*words: Any) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, [str(word) for word in words])


def test_a_search_ends_in_a_cell_and_two_perplexities(tmp_path: Path, abab: Path) -> None:
    directory = tmp_path / "run"
    done = call("--text", abab, "--run-dir", directory, *WORDS)
    assert done.exit_code == 0, done.output
    assert "search epoch 1/1" in done.output
    result = json.loads((directory / "result.json").read_text())
    found = Genotype.from_json(json.loads((directory / "genotype.json").read_text()))
    assert result["found"]["genotype"] == found.to_json()
    assert result["uniform_bits"] == 2.0
    for name in ("found", "random"):
        rnn.check_genotype(Genotype.from_json(result[name]["genotype"]))
        assert result[name]["params"] == 3 * 4 + 4 + 4 * 9 + 2 * 2 * 9
        for part in ("valid", "test"):
            score = result[name][part]
            assert score["bits"] == pytest.approx(score["nats"] / math.log(2), rel=1e-5)
            assert score["perplexity"] == pytest.approx(math.exp(score["nats"]), rel=1e-4)
    drawing = (directory / "cell-recurrent.svg").read_text()
    assert "The output averages 1, 2." in drawing
    assert not list(directory.glob(".*unfinished"))
    again = call("--text", abab, "--run-dir", directory, *WORDS)
    assert again.exit_code == 2
    assert "exists" in again.output


def test_help_shows_an_example() -> None:
    assert "python experiments/rnn_text.py --text" in call("--help").output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--preset", "big"), "unknown preset 'big'"),
        (("--method", "dart"), "unknown method 'dart'"),
        (("--set", "search.crop_padding=2"), "unknown setting 'search.crop_padding'"),
        (("--set", "retrain.lr=0"), "retrain.lr"),
        (("--window", "400"), "choose fewer columns or a shorter window"),
        (("--set", "retrain.batch_size=20"), "choose fewer columns or a shorter window"),
        (("--set", "retrain.hidden_dropout=1"), "dropout of hidden"),
        (("--method", "pc_darts"), "cannot be rebuilt with partial_channels"),
        (("--method", "darts_pt"), "works between epochs, which this script does not do"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, abab: Path, words: tuple[str, ...], expected: str) -> None:
    done = call("--text", abab, "--run-dir", tmp_path / "run", *WORDS, *words)
    assert done.exit_code == 2
    assert expected in done.output
    assert not (tmp_path / "run").exists()
    assert "Traceback" not in done.output


def test_the_command_line_refuses_images_in_one_sentence(sentence: Any, tmp_path: Path) -> None:
    from dnas.run import config, planning

    request = config.make(
        config.SEARCH,
        space="rnn",
        method="darts",
        preset="tiny",
        data=None,
        seed=0,
        baseline=None,
        assignments=(),
    )
    with sentence("text", "(8, 8, 1)", "experiments/rnn_text.py"):
        planning.plan(request, None)
