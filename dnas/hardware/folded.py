"""What converters for phones and boards leave of edges on which no output depends, as their measurements show it.

In the code of NAS-Bench-201 an edge of `none` multiplies its source by 0, so that every state reaches the output in
form. On HW-NAS-Bench's Raspberry Pi 4 and Pixel 3, which run TensorFlow Lite, most of what is multiplied by 0 costs
nothing, and some of it all: of connected CIFAR-10 networks with a dead convolution, most in which the dead state is a
convolution's output take the time of it, and most in which it is a sum or pooled do not. That is what one would see if
a multiplication after a convolution were folded into its kernel, as batch norm is, and zeros otherwise folded away: a
reading of 15,625 measurements, not of the converter's code, and found while looking at them. What it gains on each
device: experiments/edges_hwnasbench.py.
"""

from typing import NamedTuple

from dnas.genotype import Cell, Edge, Genotype
from dnas.hardware.live import inputs_of, may_end, used_states
from dnas.selection.top_edges import NONE
from dnas.types import Group, Spec

SKIP, CONVOLUTION = "skip_connect", "conv"


class _State(NamedTuple):
    """What a state is: zeros, a convolution's output, or something else; and the edges that make it."""

    zeros: bool
    convolved: bool
    edges: frozenset[tuple[int, int]]


def folded(spec: Spec, genotype: Genotype) -> Genotype:
    """Return the architecture with `none` on the edges that cost nothing on such a device.

    Of the states on which no output depends, the last one that is not zeros is looked at: if it is the output of one
    convolution, it stays with all that leads to it; all other dead edges go. A dead state that is a convolution's
    output is an addend wherever `none` leads from it.

    Where edges compete, or none of them can be `none`, nothing changes.

    Args:
        spec: the groups.
        genotype: an architecture of them.
    """
    return Genotype(genotype.space, tuple((name, _cell(spec[name], cell)) for name, cell in genotype.cells))


def _cell(group: Group, cell: Cell) -> Cell:
    if not may_end(group):
        return cell
    used, first = used_states(cell), len(inputs_of(cell))
    states = {state: _State(False, False, frozenset()) for state in inputs_of(cell)}
    last = _State(True, False, frozenset())
    for state, node in enumerate(cell.nodes, start=first):
        states[state] = _sum([_carried(states, used, state, number, edge) for number, edge in enumerate(node)])
        if state not in used and not states[state].zeros:
            last = states[state]
    stays = last.edges if last.convolved else frozenset()
    nodes = tuple(
        tuple(
            edge if state in used or (state, number) in stays else Edge(NONE, edge.source)
            for number, edge in enumerate(node)
        )
        for state, node in enumerate(cell.nodes, start=first)
    )
    return Cell(nodes, cell.concat)


def _carried(states: dict[int, _State], used: set[int], state: int, number: int, edge: Edge) -> _State:
    """Return what an edge brings to the state that it enters."""
    source = states[edge.source]
    if edge.op == NONE:
        multiplied = source.convolved and edge.source not in used
        return source if multiplied else _State(True, False, frozenset())
    edges = source.edges | {(state, number)}
    if edge.op == SKIP:
        return source._replace(edges=edges)
    return _State(False, CONVOLUTION in edge.op, edges)


def _sum(addends: list[_State]) -> _State:
    own = [addend for addend in addends if not addend.zeros]
    edges = frozenset[tuple[int, int]]().union(*(addend.edges for addend in own))
    return _State(not own, len(own) == 1 and own[0].convolved, edges)
