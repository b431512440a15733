"""The command line of `dnas fit-profile` and `scripts/fit_profile`: it parses, calls and prints."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from dnas.errors import UserError
from dnas.hardware.hwnasbench import Made, profiles
from dnas.hardware.measurements import Request, fitted
from dnas.hardware.model import TABLE_UNIT, Profile
from dnas.hardware.profile_file import write_profile
from dnas.run.console import Screen

DASH = "\u2013"


class Image(click.ParamType):
    """Height, width and channels with commas between them."""

    name = "H,W,C"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the three as a tuple."""
        words = str(value).replace("x", ",").split(",")
        if len(words) != 3 or not all(word.strip().isdecimal() and int(word) > 0 for word in words):
            self.fail(f"expected height, width and channels such as 32,32,3, got {value!r}", param, ctx)
        return tuple(map(int, words))


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("measurements", type=click.Path(path_type=Path), required=False)
@click.option("--hw-nas-bench", "archive", type=click.Path(path_type=Path), help="Costs of HW-NAS-Bench, a .npz file.")
@click.option("--networks", type=click.IntRange(min=1), help="Networks of HW-NAS-Bench to fit.  [default: 200]")
@click.option("--name", help="Short name of the device.")
@click.option("--device", help="What the device is, in words.  [default: its name]")
@click.option("--space", help="Search space of the networks.")
@click.option("--metric", help=f"What was measured: {', '.join(TABLE_UNIT)}.  [default: latency]")
@click.option("--unit", help="Unit of the costs, such as ms or mJ.  [default: that of the table]")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images at once.  [default: 1]")
@click.option("--dtype", help="Type of the computation.  [default: float32]")
@click.option("--classes", type=click.IntRange(min=1), help="Classes of the networks.  [default: 10]")
@click.option("--image", type=Image(), help="Size of an image.  [default: 32,32,3]")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Such as space.channels=8.")
@click.option("--hold-out", type=click.FloatRange(0.01, 0.95), help="Share not to fit.  [default: 0.2]")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides which networks are fitted."
)
@click.option("--out", type=click.Path(path_type=Path), help="File, or folder of HW-NAS-Bench's.  [default: NAME.json]")
@click.option("--overwrite", is_flag=True, help="Replace profiles that exist.")
def fit_profile(
    measurements: Path | None,
    archive: Path | None,
    networks: int | None,
    seed: int,
    out: Path | None,
    overwrite: bool,
    **own: Any,
) -> None:
    """Fit an additive cost model to MEASUREMENTS of whole networks, and write it as a profile.

    MEASUREMENTS is a CSV file whose first line is 'architecture,cost'. An architecture is what its space
    calls it, such as a NAS-Bench-201 string or index, or a genotype file (.json). The error is measured on
    networks that were not fitted, and shown beside that of cross-validation on those that were.

    \b
    Examples:
      dnas fit-profile times.csv --name mylaptop --space nasbench201 --unit us
      dnas fit-profile joules.csv --name board --space darts --metric energy --unit J --set space.cells=20
      dnas fit-profile --hw-nas-bench hwnasbench_nb201.npz --out dnas/hardware/profiles --overwrite
    """
    if (measurements is None) == (archive is None):
        raise UserError("fit-profile needs either MEASUREMENTS, a CSV file, or --hw-nas-bench FILE")
    if archive is not None:
        _refuse("--hw-nas-bench", {**own, "assignments": own["assignments"] or None})
        _published(archive, networks or 200, seed, out or Path(), overwrite)
        return
    _refuse("MEASUREMENTS", {"networks": networks})
    own["metric"] = own["metric"] or "latency"
    lacking = [name for name in ("name", "space") if own[name] is None]
    if lacking:
        raise UserError(f"fit-profile MEASUREMENTS needs --{lacking[0]}: see the examples of --help")
    assert measurements is not None
    device = own.pop("device") or own["name"]
    own["unit"] = TABLE_UNIT.get(own["metric"], "") if own["unit"] is None else own["unit"]
    path = out or Path(f"{own['name']}.json")
    _free(path, overwrite)
    made = fitted(Request(measurements, seed=seed, **{name: value for name, value in own.items() if value is not None}))
    write_profile(Profile(made.model.name, device, (made.model,)), path)
    screen = Screen()
    screen.table(_table([made]))
    screen.say(f"profile: {path}")


def _published(archive: Path, networks: int, seed: int, folder: Path, overwrite: bool) -> None:
    if not folder.is_dir():
        raise UserError(f"no folder {str(folder)!r}: name one that exists with --out, for the profiles of all devices")
    screen = Screen()
    shown: list[Made] = []
    for profile, made in profiles(archive, networks, seed):
        path = folder / f"{profile.name}.json"
        _free(path, overwrite)
        write_profile(profile, path)
        shown += made
        screen.say(f"profile: {path}")
    screen.table(_table(shown))


def _free(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise UserError(f"{str(path)!r} exists: add --overwrite to replace it, or name another place with --out")


def _refuse(what: str, given: dict[str, Any]) -> None:
    named = [
        f"--{'set' if name == 'assignments' else name.replace('_', '-')}"
        for name, value in given.items()
        if value is not None
    ]
    if named:
        raise UserError(f"{named[0]} does not go with {what}: leave it out (see dnas fit-profile --help)")


def _table(made: Iterable[Made]) -> Table:
    table = Table(title="Error on networks that were not fitted, and in cross-validation on those that were")
    for title in ("device", "metric", "classes", "held out", "Spearman", "Kendall", "R2", "MAPE", "cross-validated"):
        table.add_column(title, justify="left" if title in ("device", "metric") else "right")
    for model, checked in made:
        error = model.quality
        assert error is not None
        numbers = [f"{error.spearman:.4f}", f"{error.kendall:.4f}", f"{error.r2:.4f}", f"{error.mape:.2%}"]
        cross = DASH if checked is None else f"{checked.spearman:.4f}, {checked.mape:.2%}"
        classes = str(model.network["classes"])
        table.add_row(model.name, model.metric, classes, f"{error.networks:,}", *numbers, cross)
    return table


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 2 bad input, 130 interrupted."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    name = "scripts/fit_profile"
    try:
        fit_profile.main(args=list(argv) if argv is not None else None, prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        _fail(f"{' '.join(error.format_message().rstrip('.').split())} (see {name} --help)")
    except UserError as error:
        _fail(str(error))
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    sys.exit(0)


def _fail(message: str) -> None:
    click.echo(f"fit_profile: error: {message}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
