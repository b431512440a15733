"""`dnas export`."""

from pathlib import Path
from typing import Any

import click

from dnas.cli.options import command_line


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "formats",
    multiple=True,
    required=True,
    metavar="FORMAT",
    help="stablehlo, onnx or flax; may be given several times.",
)
@click.option(
    "--fold/--no-fold",
    default=True,
    help="Make batch norm part of the convolutions before it, or leave it, to train on.  [default: fold]",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write.  [default: RUN/export]")
@click.option(
    "--hardware",
    multiple=True,
    metavar="NAME|FILE",
    help="Device whose cost the card tells, as for `dnas search`.  [default: those of the run]",
)
@click.option(
    "--images", type=click.IntRange(min=1), metavar="N", help="Test images on which files are checked.  [default: all]"
)
@click.option("--data-dir", help="Folder of downloaded data sets.  [default: $DNAS_DATA]")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
def export(run: Path, out: Path | None, fold: bool, data_dir: str | None, **chosen: Any) -> None:
    """Write the network that RUN trained as files that run without dnas, with its card.

    stablehlo is a program with the weights inside, for `jax.export`; onnx a model for onnxruntime and others; flax one
    readable model.py with its weights, to edit. All take uint8 images, any number of them. Each is run on test images
    in a process of its own, which has only what the format needs, and must score exactly what the network scores.

    \b
    Examples:
      dnas export runs/darts-digits-20260101-120000 --to stablehlo --to onnx --to flax
      dnas export runs/my-run --to flax --no-fold --out my_network
      dnas export runs/my-run --to onnx --hardware raspi4
    """
    from dnas.export.command import Wanted, export_run
    from dnas.export.table import table
    from dnas.run.console import Screen

    screen = Screen()
    wanted = Wanted(folded=fold, **chosen)
    found = export_run(run, wanted, out, screen, data_dir=data_dir, command=command_line())
    screen.table(table(found.card))
    screen.say(f"card: {found.page}")
