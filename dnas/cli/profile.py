"""`dnas profile`."""

import re
from pathlib import Path
from typing import Any

import click

from dnas.errors import UserError


@click.command()
@click.option("--space", default="darts", show_default=True, help="Search space, or package.module:function.")
@click.option("--preset", default="paper", show_default=True, help="Named set of settings: tiny, small or paper.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting of the space or its networks, for example retrain.channels=16.",
)
@click.option("--image", default="32x32x3", show_default=True, metavar="HxWxC", help="Size of an image.")
@click.option("--classes", type=click.IntRange(min=2), default=10, show_default=True, help="Number of classes.")
@click.option("--batch-size", type=click.IntRange(min=1), default=1, show_default=True, help="Images of a call.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Type of the computation.",
)
@click.option(
    "--networks",
    type=click.IntRange(min=2),
    default=30,
    show_default=True,
    help="Random networks on which the profile is checked.",
)
@click.option(
    "--calibration",
    type=click.IntRange(min=2),
    default=30,
    show_default=True,
    help="Other random networks, from which it is learned what composing operations costs.",
)
@click.option(
    "--rounds", type=click.IntRange(min=1), default=25, show_default=True, help="How often each program is timed."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the random networks.")
@click.option("--name", help="Name of the device, for --hardware.  [default: the kind of the device]")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="File to write, with a picture FILE.png beside it."
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def profile(**chosen: Any) -> None:
    """Measure how long the operations of a space take on this device, and check it on whole networks.

    Each operation is timed alone at each of its shapes. From some random networks it is learned what composing them
    costs, and on others how far off predictions are, which is written into the profile. Nothing is written before the
    end; keep the machine idle meanwhile.

    \b
    Examples:
      dnas profile --space darts --out my.json
      dnas profile --space nasbench201 --batch-size 32 --out my.json
      dnas profile --space darts --set retrain.channels=16 --set retrain.cells=8 --name laptop --out my.json
    """
    check_paths(chosen["out"], chosen["overwrite"])
    from dnas.hardware.measure.command import Wanted, run
    from dnas.run.console import Screen

    names = ("space", "preset", "assignments", "classes", "batch_size", "dtype", "networks", "calibration", "seed")
    wanted = Wanted(
        image=image(chosen["image"]),
        name=device(chosen["name"]),
        rounds=chosen["rounds"],
        **{name: chosen[name] for name in names},
    )
    run(wanted, chosen["out"], Screen())


def image(text: str) -> tuple[int, int, int]:
    """Read `HxWxC`; `UserError` for anything else."""
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})x([1-9]\d{0,3})", text)
    if not found:
        raise UserError(f"--image: expected height, width and channels such as 32x32x3, got {text!r}")
    return int(found[1]), int(found[2]), int(found[3])


def device(name: str | None) -> str | None:
    """Check a device's name; `UserError` unless it is made of letters, digits, `-` and `_`."""
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise UserError(f"--name: expected letters, digits, '-' and '_', got {name!r}")
    return name


def check_paths(out: Path, overwrite: bool) -> None:
    """Raise `UserError` if `out` cannot be written, or is there and may not be replaced."""
    if out.is_dir():
        raise UserError(f"--out: expected a file, but {str(out)!r} is a folder")
    if not out.parent.is_dir():
        raise UserError(f"--out: the folder {str(out.parent)!r} does not exist: create it first")
    there = [path for path in (out, out.with_suffix(".png")) if path.exists()]
    if out.suffix == ".png":
        raise UserError(f"--out: expected a name such as my.json, got {str(out)!r}")
    if there and not overwrite:
        raise UserError(f"--out: {str(there[0])!r} exists: choose another name, or add --overwrite")
