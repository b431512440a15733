"""`dnas report`."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def report(run: Path) -> None:
    """Write the report of a finished run again: RUN/report.html and the pictures of its cells.

    \b
    Example:
      dnas report runs/darts-digits-20260101-120000
    """
    from dnas.report import write_report

    click.echo(f"report: {write_report(run)}")
