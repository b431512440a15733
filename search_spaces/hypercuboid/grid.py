"""What supernet and derived network share: the grid of states, the edges between its levels, and their numbers."""

from typing import NamedTuple

from dnas.types import Group

GRID = "grid"
"""Name of the one group of edges."""
END = "sharp_sep_conv_3x3"
"""The operation of the edges that lead to the head; nothing is chosen on them."""


class Grid(NamedTuple):
    """The states of a network: a stem of each width, two levels of states for each layer, and the end.

    States are numbered level by level and, within one, by width. Every state has an edge from each state of the level
    before; the end has one from each state of the last level. Rows of `alpha` are in the order of the target, then of
    the source.

    Attributes:
        layers: N; each has a level of edges with stride 1 and one with stride 2.
        widths: W; width i has `channels * 2**i` channels.
    """

    layers: int
    widths: int

    @property
    def levels(self) -> int:
        """Levels of states after the stems."""
        return 2 * self.layers

    @property
    def end(self) -> int:
        """Number of the last state, from which the head reads."""
        return self.widths * (self.levels + 1)

    @property
    def edges(self) -> int:
        """How many edges there are, 2 N W^2 + W."""
        return (self.levels * self.widths + 1) * self.widths

    def sources(self, state: int) -> tuple[int, ...]:
        """Return the states that lead to `state`, which is not a stem."""
        first = (state // self.widths - 1) * self.widths
        return tuple(range(first, first + self.widths))

    def row(self, state: int, source: int) -> int:
        """Return the row of `alpha` of the edge from `source` to `state`."""
        return (state - self.widths) * self.widths + source % self.widths

    def group(self, ops: tuple[str, ...]) -> Group:
        """Return the group of the grid's edges: `ops` are offered everywhere but at the end."""
        states = range(self.widths, self.end + 1)
        inner, last = (True,) * len(ops), tuple(op == END for op in ops)
        return Group(
            edges=self.edges,
            ops=ops,
            nodes=tuple(tuple((self.row(state, source), source) for source in self.sources(state)) for state in states),
            keep=1,
            concat=(self.end,),
            allowed=(inner,) * (self.edges - self.widths) + (last,) * self.widths,
            path=True,
        )


def stride(level: int) -> int:
    """Return the stride of the edges that lead to a level, from 1: each layer keeps the size first, then halves it."""
    return 2 - level % 2


def stem_name(width: int) -> str:
    """Name of the supernet's stem of a width."""
    return f"stem_{width}"


def edge_name(level: int, source: int, target: int) -> str:
    """Name of the supernet's edge that leads to a level, from and to the given widths."""
    return f"edge_{level}_{source}_{target}"


def end_name(width: int) -> str:
    """Name of the supernet's edge from a width to the end."""
    return f"end_{width}"
