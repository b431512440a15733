"""What README and the pages of the site show, runs."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
import pytest

from dnas.cli.main import cli

README = Path(__file__).parents[1] / "README.md"
PAGES = (README, *sorted((README.parent / "docs").rglob("*.md")))


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_own_network_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(examples()[0], "README.md", "exec"), names)
    assert set(names["found"].scores["test"]) == {"mse", "mae", "loss"}
    assert "on the test data:" in capsys.readouterr().out


def test_the_library_example_runs() -> None:
    _, code = examples()
    # As it stands, but for the sizes.
    for large, small in (
        ("channels=8, cells=3, nodes=2", "channels=2, cells=3, nodes=1"),
        ("channels=16, cells=8", "cells=3"),
    ):
        assert large in code
        code = code.replace(large, small)
    rng = np.random.default_rng(0)
    names = {
        "images": jax.numpy.asarray(rng.normal(size=(12, 8, 8, 1)), jax.numpy.float32),
        "labels": jax.numpy.asarray(rng.integers(0, 10, 12)),
        "rows": jax.numpy.asarray(rng.integers(0, 12, (3, 2, 4))),
    }
    exec(compile(code, "README.md", "exec"), names)
    assert int(names["state"].step) == 3
    assert names["info"].train_loss.shape == (3,)
    assert bool(jax.numpy.isfinite(names["info"].valid_loss).all())
    assert names["network"].workload((8, 8, 1)).params > 0


def commands() -> list[str]:
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)]
    return sorted({line.split("#")[0].strip() for block in blocks for line in block.splitlines() if "dnas " in line})


@pytest.mark.parametrize("line", commands())
def test_every_command_line_names_real_commands_and_options(line: str) -> None:
    words = shlex.split(line)
    start = next(index for index, word in enumerate(words) if Path(word).name == "dnas")
    command: click.Command = cli
    rest = words[start + 1 :]
    while rest and isinstance(command, click.Group):
        assert rest[0] in command.commands, line
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known
