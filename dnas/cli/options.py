"""Options and steps that `search` and `train` share."""

import shlex
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from dnas.errors import UserError

Command = Callable[..., Any]


def run_options(command: Command) -> Command:
    """Add the options about data, settings and the run directory."""
    for option in reversed(
        [
            click.option("--preset", help="Named set of settings: tiny, small or paper.  [default: tiny]"),
            click.option("--data", help="digits, cifar10, npz:FILE or folder:DIR.  [default: the preset's]"),
            click.option("--data-dir", help="Folder of downloaded data sets.  [default: $DNAS_DATA]"),
            click.option("--seed", type=int, help="Seed of everything random.  [default: 0]"),
            click.option(
                "--set",
                "assignments",
                multiple=True,
                metavar="NAME=VALUE",
                help="Change a setting, for example search.epochs=20; `dnas settings` lists all of them.",
            ),
            click.option("--run-dir", type=click.Path(path_type=Path), help="Where results go.  [default: runs/...]"),
            click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="Continue this run."),
            click.option("--overwrite", is_flag=True, help="Replace the run directory if it exists."),
        ]
    ):
        command = option(command)
    return command


def refuse_with_resume(resume: Path, given: dict[str, Any]) -> None:
    """Raise `UserError` if options were given that a resumed run has already fixed."""
    named = [
        f"--{name.replace('_', '-')}"
        for name, value in given.items()
        if value is not None and value is not False and value != ()
    ]
    if named:
        raise UserError(
            f"--resume {resume} continues with the settings that the run began with, but {' and '.join(named)} was "
            f"given: leave it out, or start a new run"
        )


def default_directory(*words: str) -> Path:
    """Return `runs/` with a name made of `words` and the present time."""
    plain = "".join(letter if letter.isalnum() else "-" for letter in "-".join(words)).strip("-")
    return Path("runs") / f"{plain}-{datetime.now():%Y%m%d-%H%M%S}"


def command_line() -> str:
    """Return this process's command as one would type it."""
    return shlex.join(["dnas", *sys.argv[1:]])
