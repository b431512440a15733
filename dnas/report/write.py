"""From a run directory to its drawings and its page."""

from pathlib import Path

from dnas.report.cells import cell_svg, inputs_of
from dnas.report.page import page
from dnas.report.run import read_run
from dnas.report.words import cell_title
from dnas.run.directory import RunDirectory

PAGE = "report.html"


def write_report(run: Path) -> Path:
    """Write `cell-<group>.svg` for each drawn cell and `report.html` into a run directory; return the page's path.

    The same run gives the same bytes. Files appear whole or not at all, the page last.

    Raises:
        UserError: where a file of the run is missing or malformed, or the directory cannot be written.
    """
    run = Path(run)
    record = read_run(run)
    inputs = inputs_of(record.genotype)
    drawings = {
        name: cell_svg(cell, cell_title(name), inputs) for name, cell in record.genotype.cells if cell.only is None
    }
    html = page(record, drawings)
    for name, svg in drawings.items():
        RunDirectory(run).write_text(f"cell-{name}.svg", svg)
    RunDirectory(run).write_text(PAGE, html)
    return run / PAGE
