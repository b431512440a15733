"""Studies: methods over seeds, held against the truth and against each other."""

from dnas.study.run import study

__all__ = ["study"]
