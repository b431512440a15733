"""From a run directory to its drawings and its page."""

import os
import tempfile
from pathlib import Path

from dnas.errors import UserError
from dnas.report.cells import cell_svg, inputs_of
from dnas.report.page import page
from dnas.report.run import read_run
from dnas.report.words import cell_title


def write_report(run: Path) -> Path:
    """Write `cell-<group>.svg` for each cell and `report.html` into a run directory; return the page's path.

    The same run gives the same bytes. Files appear whole or not at all, the page last.

    Raises:
        UserError: where a file of the run is missing or malformed, or the directory cannot be written.
    """
    run = Path(run)
    record = read_run(run)
    inputs = inputs_of(record.genotype)
    drawings = {name: cell_svg(cell, cell_title(name), inputs) for name, cell in record.genotype.cells}
    html = page(record, drawings)
    for name, svg in drawings.items():
        _write(run / f"cell-{name}.svg", svg)
    return _write(run / "report.html", html)


def _write(path: Path, text: str) -> Path:
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise UserError(
            f"cannot write {str(path)!r} ({error.strerror}); expected a folder with room that you may write to"
        ) from None
    return path
