"""The report of a study: one self-contained page, with its CSV and JSON beside it."""

from dnas.report.study.page import study_page
from dnas.report.study.write import write_study

__all__ = ["study_page", "write_study"]
