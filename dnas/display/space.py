"""A search space: its groups drawn with everything that may be chosen, or as a table."""

from collections.abc import Iterator

from rich.table import Table

from dnas.architectures import architectures
from dnas.costs import offers
from dnas.display import text
from dnas.display.arcs import group_svg
from dnas.display.decisions import Decision, alone, decisions_svg
from dnas.display.genotype import BLOCK
from dnas.types import Group, SearchSpace


def space_html(space: SearchSpace) -> str:
    """Return a drawing of each group, one below the other, as an HTML fragment.

    Equal groups are drawn once; choices that stand alone come first, in one drawing.
    """
    open_ones = [Decision(name, group.ops) for name, group in space.spec.items() if alone(group)]
    drawings = [decisions_svg(open_ones, f"{space.name}: what may be chosen")] if open_ones else []
    drawings += [
        group_svg(group, f"{space.name}: {', '.join(names)}", f"{edges(group)}, kept: {kept(group)}")
        for names, group in _alike(space)
        if not alone(group)
    ]
    blocks = "".join(f"{BLOCK}{drawing}</div>" for drawing in drawings)
    return f"{blocks}<p>{total(space)}</p>"


def space_table(space: SearchSpace) -> Table:
    """Return a row for each group: its edges, what of them is kept, its operations; below, how many architectures."""
    table = text.columns(f"the space {space.name}: {total(space)}", "group", "edges", "kept", "operations")
    for name, group in space.spec.items():
        table.add_row(name, str(group.edges), kept(group), ", ".join(group.ops))
    return table


def total(space: SearchSpace) -> str:
    """Return how many architectures there are, in words: exactly below a million, else to two digits."""
    number = architectures(space.spec)
    return f"{number:,} architectures" if number < 10**6 else f"about {float(number):.1e} architectures"


def edges(group: Group) -> str:
    """Return the number of edges and of the operations between which each of them chooses."""
    offered = sorted(set(offers(group).sum(axis=1).tolist()))
    between = " or ".join(map(str, offered))
    return f"{group.edges} edge{'s' if group.edges != 1 else ''} of {between} operations"


def kept(group: Group) -> str:
    """Return what an architecture keeps of the edges."""
    if group.path:
        return "one path"
    return "all" if group.keep is None else f"{group.keep} into each node"


def _alike(space: SearchSpace) -> Iterator[tuple[list[str], Group]]:
    """Yield each different group with the names of those that equal it."""
    groups = list(space.spec.items())
    for index, (_, group) in enumerate(groups):
        if all(other != group for _, other in groups[:index]):
            yield [name for name, other in groups if other == group], group
