"""What each operation costs on each edge of a space, measured from the networks that the space builds.

The cost of a network is a sum over its edges and over what all networks of the space share. Two networks that differ in
one edge therefore differ by what its operation costs in every network, in all cells in which the edge stands.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.path_costs import Nodes, path_rows, some_path
from dnas.selection.one_hot import one_hot
from dnas.selection.top_edges import NONE, top_edges
from dnas.types import Group, SearchSpace, Spec

Incoming = tuple[tuple[int, int], ...]
"""The edges that enter a node, as `(edge, source)` pairs."""


class CostTable(NamedTuple):
    """The costs of one resource, as float64; whole numbers where what is counted is.

    Attributes:
        base: cost of what all architectures of the space share (stem, preprocessing, classifier).
        rows: for each group, `(edges, ops)`, the cost of an operation on an edge, in all cells of the group together; 0
            for operations that an edge does not offer.
    """

    base: float
    rows: Mapping[str, np.ndarray]

    def scaled(self, factor: float) -> "CostTable":
        """Return the table in another unit, one of its own being `factor` of it."""
        return CostTable(factor * self.base, {name: factor * rows for name, rows in self.rows.items()})


def tables(
    space: SearchSpace, shape: tuple[int, ...], settings: Mapping[str, Any] | None = None
) -> dict[str, CostTable]:
    """Count what operations cost, by default in networks of the supernet's own size.

    Nothing is computed but shapes, and an operation is traced once at each size.

    Args:
        space: the space.
        shape: (H, W, C) of an image.
        settings: the networks are built as `space.build(genotype, **settings)`; `None` for `searched=True`.

    Returns:
        The tables of the resources `params` (trained parameters) and `macs` (multiply-adds of one image).

    Raises:
        UserError: if some edges of the space enter no node, so that no architecture says what is on them.
    """
    own = {"searched": True} if settings is None else dict(settings)
    height, width, channels = shape
    return differences(
        space, lambda genotype: space.build(genotype, **own).workload((height, width, channels))._asdict()
    )


def differences(space: SearchSpace, count: Callable[[Genotype], Mapping[str, float]]) -> dict[str, CostTable]:
    """Return the tables of what `count` says of networks, as differences between those that differ in one edge.

    They predict every network if its cost is a sum over its edges, which is not checked here. Counts that are whole
    numbers make tables that are. Where architectures are paths, two of them never differ in one edge alone: an edge's
    cost is then what it adds to the cheapest way to where it leads, so that costs are not negative and add up.

    Args:
        space: the space.
        count: the costs of an architecture by resource; it may be asked for edges that have `none` where architectures
            would not.

    Raises:
        UserError: if some edges of the space enter no node, so that no architecture says what is on them.
    """
    for name, group in space.spec.items():
        if not group.nodes:
            raise UserError(f"costs of {space.name}: the edges of {name!r} enter no node; give its Group the nodes")
    start = {name: _start(group) for name, group in space.spec.items()}
    resources: list[str] = []

    @cache
    def counted(genotype: Genotype) -> np.ndarray:
        found = count(genotype)
        resources[:] = found
        return np.array(list(found.values()), np.float64)

    rows = {}
    for name, group in space.spec.items():

        def with_nodes(nodes: Nodes, name: str = name) -> np.ndarray:
            return counted(_genotype(space, {**start, name: nodes}))

        own_rows = path_rows if group.path else _edge_rows
        rows[name] = own_rows(group, offers(group), with_nodes)
    some = top_edges(space, {name: np.zeros(values.shape[:2]) for name, values in rows.items()})  # type: ignore[misc]
    total = counted(some)
    found = {}
    for index, resource in enumerate(resources):
        own = {name: values[..., index] for name, values in rows.items()}
        found[resource] = CostTable(float(total[index]) - cost(CostTable(0.0, own), space.spec, some), own)
    return found


def cost(table: CostTable, spec: Spec, genotype: Genotype) -> float:
    """Return what an architecture costs; NaN if it has an operation whose entry is NaN.

    Raises:
        UserError: if it is no architecture of `spec`.
    """
    chosen = one_hot(spec, genotype)
    # Only what is chosen, since NaN stays NaN when it is multiplied by 0.
    return table.base + sum(
        float(np.sum(chosen[name] * rows, where=np.asarray(chosen[name]) > 0)) for name, rows in table.rows.items()
    )


def offers(group: Group) -> np.ndarray:
    """Return `(edges, ops)` bool: which operations each edge offers."""
    return np.ones((group.edges, len(group.ops)), bool) if group.allowed is None else np.array(group.allowed)


def can_be_kept(group: Group) -> np.ndarray:
    """Return `(edges, ops)` bool: which operations an edge may be left with."""
    named = np.array([op != NONE or group.keep is None for op in group.ops])
    return offers(group) & named


def is_choice(group: Group) -> bool:
    """Whether a group has one edge, which is always there, as a choice in a user's own model."""
    return group.edges == 1 and NONE not in group.ops and not group.path


def _start(group: Group) -> Nodes:
    """Return the nodes from which others are to differ in one edge."""
    if is_choice(group):
        # The last depth of a repeated block is the one at which all choices inside count.
        return _only(group, np.flatnonzero(offers(group)[0])[-1])
    if group.path:
        return some_path(group, offers(group))
    return tuple(_kept(group, incoming, incoming[0][0]) for incoming in group.nodes)


def _edge_rows(group: Group, offered: np.ndarray, count: Callable[[Nodes], np.ndarray]) -> np.ndarray:
    """Return `(edges, ops, resources)`: how much each operation on each edge adds to what is there without it."""
    start = _start(group)
    rows = np.zeros((*offered.shape, len(count(start))))
    if is_choice(group):
        columns = np.flatnonzero(offered[0])
        rows[0, columns] = [count(_only(group, column)) for column in columns]
        rows[0, columns] -= rows[0, columns].min(axis=0)
        return rows
    for edge, column in np.argwhere(offered):
        with_it, without = (count(_nodes(group, start, edge, op)) for op in (group.ops[column], None))
        rows[edge, column] = with_it - without
    return rows


def _only(group: Group, column: Any) -> Nodes:
    return ((Edge(group.ops[int(column)], group.nodes[0][0][1]),),)


def _genotype(space: SearchSpace, nodes: Mapping[str, Nodes]) -> Genotype:
    return Genotype(space.name, tuple((name, Cell(nodes[name], group.concat)) for name, group in space.spec.items()))


def _nodes(group: Group, nodes: Nodes, edge: int, op: str | None) -> Nodes:
    """Return the nodes with `op` on `edge`, or with nothing on it."""
    entered = next(index for index, incoming in enumerate(group.nodes) if edge in dict(incoming))
    return (*nodes[:entered], _kept(group, group.nodes[entered], edge, op), *nodes[entered + 1 :])


def _kept(group: Group, incoming: Incoming, edge: int, op: str | None = None) -> tuple[Edge, ...]:
    """Return what a node keeps if there is `op` on `edge`, or nothing, and as little as possible on its other edges.

    Where edges compete, nothing on an edge means that it is not kept, beside another edge with the first operation that
    this one offers; the only edge of a node, and edges that are all kept, have `none`.
    """
    if group.keep is None or len(incoming) == 1:
        return tuple(Edge(op if own == edge and op else NONE, source) for own, source in incoming)
    other, source = next(pair for pair in incoming if pair[0] != edge)
    kept = (Edge(group.ops[int(np.argmax(offers(group)[other]))], source),)
    return (*kept, Edge(op, dict(incoming)[edge])) if op else kept
