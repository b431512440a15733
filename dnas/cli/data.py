"""`dnas data`."""

from pathlib import Path

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn


@click.group()
def data() -> None:
    """Bring data sets to this machine.

    \b
    Example:
      dnas data cifar10 --data-dir ~/data
    """


@data.command()
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where to put it.  [default: $DNAS_DATA]")
def cifar10(data_dir: Path | None) -> None:
    """Download CIFAR-10 from its official address, check it and unpack it; a cut download continues.

    \b
    Example:
      dnas data cifar10 --data-dir ~/data
    """
    from dnas.data.download import OFFICIAL_URL, download_cifar10

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task(OFFICIAL_URL.rpartition("/")[2], total=None)
        outcome = download_cifar10(
            data_dir, progress=lambda done, total: progress.update(task, completed=done, total=total)
        )
    click.echo(f"CIFAR-10 {'is already' if outcome.already else 'is now'} in {outcome.folder}")
