"""What edges cost where an architecture is a single path through a group, as differences between paths.

Two paths that differ in one edge differ in its neighbours too. What all networks together tell of an edge is its cost
up to a number for each state, which what leads to the state gains and what leaves it loses; the cost of a whole path
does not depend on these numbers. Here the number of a state is the cost of the cheapest way to it, which makes every
edge's cost what it adds to that: none is negative, and the cheapest path costs nothing on its edges.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from dnas.genotype import Edge
from dnas.types import Group

Nodes = tuple[tuple[Edge, ...], ...]
"""The kept edges of each node of a cell."""
Path = tuple[tuple[int, Edge], ...]
"""States of nodes with the edge by which each is entered."""


class _Ways(NamedTuple):
    """One way from an input to each state, and one from each state to the end."""

    before: Mapping[int, Path]
    after: Mapping[int, Path]


def some_path(group: Group, offered: np.ndarray) -> Nodes:
    """Return a path through the group.

    Args:
        group: whose architectures are paths.
        offered: `(edges, ops)` bool, the operations of each edge.
    """
    return _nodes(group, _ways(group, offered).before[group.concat[0]])


def path_rows(group: Group, offered: np.ndarray, count: Callable[[Nodes], np.ndarray]) -> np.ndarray:
    """Return `(edges, ops, resources)` costs of which every path has the sum over its edges, up to what all share.

    Args:
        group: whose architectures are paths.
        offered: `(edges, ops)` bool, the operations of each edge.
        count: `(nodes) -> (resources,)`, the cost of a path.
    """
    ways = _ways(group, offered)
    first = count(_nodes(group, ways.before[group.concat[0]]))
    rows = np.zeros((*offered.shape, len(first)))
    cheapest = {state: np.zeros(len(first)) for state in range(_inputs(group))}
    for state, incoming in enumerate(group.nodes, start=_inputs(group)):
        if state not in ways.after:
            continue
        usual = count(_nodes(group, ways.before[state] + ways.after[state]))
        added = {}
        for edge, source in incoming:
            for column in np.flatnonzero(offered[edge]):
                own = (state, Edge(group.ops[column], source))
                path = (*ways.before[source], own, *ways.after[state])
                added[edge, column] = count(_nodes(group, path)) - usual + cheapest[source]
        cheapest[state] = np.min(list(added.values()), axis=0)
        for place, value in added.items():
            rows[place] = value - cheapest[state]
    return rows


def _ways(group: Group, offered: np.ndarray) -> _Ways:
    inputs = _inputs(group)
    before: dict[int, Path] = {state: () for state in range(inputs)}
    for state, incoming in enumerate(group.nodes, start=inputs):
        edge, source = incoming[0]
        before[state] = (*before[source], (state, _first(group, offered, edge, source)))
    after: dict[int, Path] = {group.concat[0]: ()}
    for state, incoming in reversed(list(enumerate(group.nodes, start=inputs))):
        if state in after:
            for edge, source in incoming:
                after.setdefault(source, ((state, _first(group, offered, edge, source)), *after[state]))
    return _Ways(before, after)


def _first(group: Group, offered: np.ndarray, edge: int, source: int) -> Edge:
    return Edge(group.ops[int(np.argmax(offered[edge]))], source)


def _nodes(group: Group, path: Path) -> Nodes:
    entered = dict(path)
    states = range(_inputs(group), _inputs(group) + len(group.nodes))
    return tuple((entered[state],) if state in entered else () for state in states)


def _inputs(group: Group) -> int:
    return group.concat[0] + 1 - len(group.nodes)
