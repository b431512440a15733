"""What of an architecture a compiler leaves: an edge that reaches no output costs nothing."""

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.selection.top_edges import NONE
from dnas.types import Group, Spec


def live(spec: Spec, genotype: Genotype) -> Genotype:
    """Return the architecture with `none` on the edges whose result no output depends on.

    Where edges compete, or none of them can be `none`, every state is used and nothing changes. An edge that leaves a
    node without input is not left out: it carries its operation's bias, and compilers do compute it.

    Raises:
        UserError: if it is no architecture of `spec`.
    """
    cells = dict(genotype.cells)
    if set(cells) != set(spec):
        raise UserError(
            f"genotype: expected the cells {', '.join(sorted(spec))}, got {', '.join(sorted(cells)) or 'none'}"
        )
    return Genotype(genotype.space, tuple((name, _cell(spec[name], cell)) for name, cell in genotype.cells))


def connected(spec: Spec, genotype: Genotype) -> bool:
    """Whether in each cell the output depends on the input."""
    return all(inputs_of(cell) & used_states(cell) for name, cell in genotype.cells if may_end(spec[name]))


def may_end(group: Group) -> bool:
    """Whether an edge that is kept may carry nothing."""
    return group.keep is None and NONE in group.ops


def inputs_of(cell: Cell) -> set[int]:
    """Return the states that a cell is given."""
    return set(range(max(cell.concat) + 1 - len(cell.nodes)))


def used_states(cell: Cell) -> set[int]:
    """Return the states on which an output depends, however they come about."""
    used = set(cell.concat)
    for state, node in reversed(list(enumerate(cell.nodes, start=len(inputs_of(cell))))):
        used |= {edge.source for edge in node if state in used and edge.op != NONE}
    return used


def _cell(group: Group, cell: Cell) -> Cell:
    if not may_end(group):
        return cell
    used = used_states(cell)
    nodes = (
        node if state in used else tuple(Edge(NONE, edge.source) for edge in node)
        for state, node in enumerate(cell.nodes, start=len(inputs_of(cell)))
    )
    return Cell(tuple(nodes), cell.concat)
