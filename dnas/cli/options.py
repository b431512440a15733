"""Options and steps that `search` and `train` share."""

import shlex
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from dnas.errors import UserError

Command = Callable[..., Any]


class Where(NamedTuple):
    """On which devices a command runs, and with which other processes, as the user gave it.

    Attributes:
        devices: a number, or `all`; `None` is one, or a resumed run's own.
        coordinator: `HOST:PORT` of process 0.
        processes: how many processes take part.
        process: which of them this is.
        distributed: whether the cluster's scheduler says these three.
    """

    devices: str | None = None
    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None
    distributed: bool = False

    def wanted(self) -> int | str | None:
        """Return what `dnas.devices.choose` takes; `UserError` for any other word."""
        if self.devices is None or self.devices == "all":
            return self.devices
        if not self.devices.isdecimal():
            raise UserError(f"--devices: expected a number from 1, or 'all', got {self.devices!r}")
        return int(self.devices)

    def join(self) -> None:
        """Connect this process with the others, if there are others."""
        from dnas.devices import processes

        given = (self.coordinator, self.processes, self.process)
        if self.distributed and any(one is not None for one in given):
            raise UserError(
                "--distributed asks the cluster's scheduler for --coordinator, --processes and --process: give either"
            )
        if self.distributed or any(one is not None for one in given):
            processes.join(processes.Cluster(*given))

    def words(self) -> str:
        """Return these options as one types them, after a space."""
        given = {name: value for name, value in self._asdict().items() if value is not None and value is not False}
        return "".join(f" --{name}" if value is True else f" --{name} {value}" for name, value in given.items())


def run_options(command: Command) -> Command:
    """Add the options about data, settings, the run directory and where to run."""
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
            click.option(
                "--devices",
                metavar="N|all",
                help="Divide each minibatch among so many devices of this process.  [default: 1]",
            ),
            click.option(
                "--coordinator",
                metavar="HOST:PORT",
                envvar="DNAS_COORDINATOR",
                help="Run as one of several processes: where process 0 listens.",
            ),
            click.option("--processes", type=int, envvar="DNAS_PROCESSES", help="How many processes take part."),
            click.option("--process", type=int, envvar="DNAS_PROCESS", help="Which of them this is, from 0."),
            click.option("--distributed", is_flag=True, help="Take these three from Slurm, Open MPI, a TPU pod, ..."),
        ]
    ):
        command = option(command)
    return command


def hardware_options(command: Command) -> Command:
    """Add the options about what architectures cost."""
    for option in reversed(
        [
            click.option(
                "--hardware",
                multiple=True,
                metavar="NAME|FILE",
                help="Device whose cost is predicted: a shipped profile, a known machine or a file of `dnas profile`.",
            ),
            click.option(
                "--limit",
                "limits",
                multiple=True,
                metavar="COST=VALUE",
                help="Greatest cost of the found network: latency=12ms, energy=5mJ, params=1M, macs=50M, memory=2MB.",
            ),
            click.option("--objective", help="How limits enter the search.  [default: augmented_lagrangian]"),
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
