"""From a study to its files."""

from pathlib import Path

from dnas.report.study.page import study_page
from dnas.run.directory import RunDirectory
from dnas.study.outputs import csv_text, json_text
from dnas.study.record import Study

PAGE, CSV, JSON = "study.html", "study.csv", "study.json"


def write_study(study: Study, folder: Path) -> Path:
    """Write `study.csv`, `study.json` and `study.html` into an existing folder; return the page's path.

    The same study gives the same bytes. Files appear whole or not at all, the page last.

    Raises:
        UserError: where one of them cannot be written.
    """
    texts = {CSV: csv_text(study), JSON: json_text(study), PAGE: study_page(study)}
    for name, text in texts.items():
        RunDirectory(Path(folder)).write_text(name, text)
    return Path(folder) / PAGE
