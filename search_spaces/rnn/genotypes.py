"""Published recurrent cells by name, from the DARTS code (quark0/darts at f276dd3, `rnn/genotypes.py`)."""

from dnas.errors import unknown
from dnas.genotype import Cell, Edge, Genotype

NAME, CELL = "rnn", "recurrent"


def genotype(words: str, concat: tuple[int, ...] = ()) -> Genotype:
    """Return the genotype written as `op source` for each node, with commas between.

    Args:
        words: such as `tanh 0, relu 1`; state 0 is made of the input and the hidden state, node i makes state i + 1.
        concat: the states whose mean is the output; all nodes if it is empty.
    """
    nodes = tuple((Edge(op, int(source)),) for op, source in (word.split() for word in words.split(",")))
    return Genotype(NAME, ((CELL, Cell(nodes, concat or tuple(range(1, len(nodes) + 1)))),))


DARTS_V1 = genotype("relu 0, relu 1, tanh 2, relu 3, relu 4, identity 1, relu 5, relu 1")
"""Found by the first-order estimate."""
DARTS_V2 = genotype("sigmoid 0, relu 1, relu 1, identity 1, tanh 2, sigmoid 5, tanh 3, relu 5")
"""Found by the second-order estimate."""
ENAS = genotype(
    "tanh 0, tanh 1, relu 1, tanh 3, tanh 3, relu 3, relu 4, relu 7, relu 8, relu 8, relu 8", (2, 5, 6, 9, 10, 11)
)
"""The cell of ENAS (arXiv:1802.03268) that DARTS compares itself with."""


def published() -> dict[str, Genotype]:
    """Return the published genotypes by name."""
    return {"DARTS_V1": DARTS_V1, "DARTS_V2": DARTS_V2, "ENAS": ENAS}


def named(name: str) -> Genotype:
    """Return the published genotype called `name`; `UserError` with the nearest name if there is none."""
    every = published()
    if name not in every:
        raise unknown("genotype", name, every)
    return every[name]
