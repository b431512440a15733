"""The report of a finished run: its cells as drawings and one self-contained page."""

from dnas.report.cells import cell_svg
from dnas.report.write import write_report

__all__ = ["cell_svg", "write_report"]
