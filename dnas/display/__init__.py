"""How values show themselves: a picture in a notebook, a table in a terminal.

`Genotype`, `SearchSpace` and `Run` hand over to this package from their display methods, so that what is imported with
`dnas` stays small.
"""

from dnas.display.run import Run

__all__ = ["Run"]
