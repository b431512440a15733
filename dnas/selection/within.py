"""The best architecture within limits: of all that cost no more, the one whose operations weigh most.

Weights and costs add up over the kept operations, so that this is a linear program in one binary for each operation of
each edge, which HiGHS solves exactly (`scipy.optimize.milp`): branch and bound, of which nothing is random.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dnas.costs import CostTable, can_be_kept, cost
from dnas.genotype import Genotype
from dnas.selection.top_edges import strongest_cell
from dnas.types import Group, SearchSpace, Spec, Weights

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SLACK = 1e-9
"""By what share of a limit a cost may exceed it: sums of the same numbers in another order do."""
GREATEST = 1e4
"""What the greatest weight is scaled to: HiGHS takes objectives for equal that differ by less than 1e-6."""

Masks = Mapping[str, np.ndarray]
Rows = Mapping[str, np.ndarray]


def within(
    space: SearchSpace,
    weights: Weights,
    tables: Sequence[CostTable],
    limits: Sequence[float],
    runs: Callable[[Genotype], bool] = lambda _: True,
) -> Genotype | None:
    """Return the architecture of greatest total weight whose cost is within every limit; `None` where none is.

    Without limits in its way it is the one that `top_edges` keeps. Its kept edges stand as there, in order of
    decreasing weight. Of equally heavy architectures it is always the same one.

    Args:
        space: the space, for its groups and its name.
        weights: operation weights `(edges, ops)` of each group.
        tables: costs in as many resources as there are limits; an operation whose entry is NaN in any is never kept.
        limits: greatest affordable costs, in the units of the tables.
        runs: whether an architecture can be run, where that is not decided by one operation on one edge; asked of the
            heaviest first.

    Raises:
        ValueError: for weights that are not finite.
        RuntimeError: if the program was not solved, which no input is known to cause.
    """
    rows = {name: np.asarray(weights[name], np.float32) for name in space.spec}
    if not all(np.isfinite(values).all() for values in rows.values()):
        raise ValueError("weights: expected finite numbers")
    masks = _can_be_run(space.spec, tables)
    strongest = _strongest(space, rows, masks)
    if strongest is not None and affordable(strongest, space.spec, tables, limits) and runs(strongest):
        return strongest
    program = _program(space.spec, masks)
    cuts: list[np.ndarray] = []
    while (taken := _solved(program, rows, tables, limits, cuts)) is not None:
        found = _strongest(space, rows, program.masks(taken))
        if found is not None and affordable(found, space.spec, tables, limits) and runs(found):
            return found
        # Within the solver's tolerance only, or not to be run: excluded by name.
        cuts.append(taken)
    return None


def affordable(genotype: Genotype, spec: Spec, tables: Sequence[CostTable], limits: Sequence[float]) -> bool:
    """Whether an architecture can be run, and costs no more than each limit."""
    return all(cost(table, spec, genotype) <= limit * (1 + SLACK) for table, limit in zip(tables, limits, strict=True))


def extremes(space: SearchSpace, table: CostTable) -> tuple[float, float] | None:
    """Return the least and the greatest cost of the space's architectures; `None` where none can be run.

    Args:
        space: the space.
        table: costs; an operation whose entry is NaN is never kept.
    """
    least, most = cheapest(space, table), cheapest(space, table.scaled(-1.0))
    if least is None or most is None:
        return None
    return cost(table, space.spec, least), cost(table, space.spec, most)


def cheapest(space: SearchSpace, table: CostTable) -> Genotype | None:
    """Return the architecture that costs least; `None` where none can be run.

    Args:
        space: the space.
        table: costs; an operation whose entry is NaN is never kept.
    """
    return _strongest(space, {name: -rows for name, rows in table.rows.items()}, _can_be_run(space.spec, [table]))


def _can_be_run(spec: Spec, tables: Sequence[CostTable]) -> Masks:
    """Return `(edges, ops)` bool for each group: what may be kept, and has a cost in every table."""
    return {
        name: np.logical_and.reduce([can_be_kept(group), *(np.isfinite(table.rows[name]) for table in tables)])
        for name, group in spec.items()
    }


def _strongest(space: SearchSpace, rows: Rows, masks: Masks) -> Genotype | None:
    """Return the architecture that `top_edges` keeps of what the masks allow; `None` if that is too little."""
    cells = []
    for name, group in space.spec.items():
        cell = strongest_cell(group, np.where(masks[name], rows[name], -np.inf))
        for incoming, kept in zip(group.nodes, cell.nodes, strict=True):
            row_of = {source: edge for edge, source in incoming}
            if not all(masks[name][row_of[edge.source], group.ops.index(edge.op)] for edge in kept):
                return None
        cells.append((name, cell))
    return Genotype(space.name, tuple(cells))


class _Program(NamedTuple):
    """The architectures of a space as the 0-1 solutions of linear constraints.

    Attributes:
        spec: the groups.
        places: for each group, the flat indices `edge * ops + op` of the operations that have a variable.
        structure: `(C, V)` coefficients of the variables.
        low: `(C,)`, least values of their sums.
        high: `(C,)`, greatest.
    """

    spec: Spec
    places: Mapping[str, np.ndarray]
    structure: "csr_array"
    low: np.ndarray
    high: np.ndarray

    def gathered(self, rows: Rows) -> np.ndarray:
        """Return `(V,)`, the entries of `(edges, ops)` rows that belong to the variables."""
        return np.concatenate([np.ravel(rows[name])[self.places[name]] for name in self.spec]).astype(np.float64)

    def masks(self, taken: np.ndarray) -> Masks:
        """Return which operations are kept, `(edges, ops)` for each group, from `(V,)` bool."""
        found, start = {}, 0
        for name, group in self.spec.items():
            places = self.places[name]
            mask = np.zeros(group.edges * len(group.ops), bool)
            mask[places] = taken[start : start + len(places)]
            found[name] = mask.reshape(group.edges, len(group.ops))
            start += len(places)
        return found


def _program(spec: Spec, masks: Masks) -> _Program:
    """Return the constraints that make a choice of operations an architecture."""
    places: dict[str, np.ndarray] = {}
    entries: list[tuple[int, int, float]] = []
    low: list[float] = []
    high: list[float] = []
    start = 0
    for name, group in spec.items():
        entered = np.zeros(group.edges, bool)
        entered[[edge for incoming in group.nodes for edge, _ in incoming]] = True
        places[name] = np.flatnonzero(masks[name] & entered[:, None])
        edges = places[name] // len(group.ops)
        for signs, least, most in _rules(group):
            own = signs[edges]
            entries += [(len(low), start + int(place), own[place]) for place in np.flatnonzero(own)]
            low.append(least)
            high.append(most)
        start += len(edges)
    indices = [[entry[axis] for entry in entries] for axis in (0, 1)]
    from scipy.sparse import csr_array

    structure = csr_array(([entry[2] for entry in entries], indices), shape=(len(low), start), dtype=float)
    return _Program(spec, places, structure, np.array(low), np.array(high))


def _rules(group: Group) -> Iterator[tuple[np.ndarray, float, float]]:
    """Yield what a group's kept operations obey: signs `(edges,)`, and bounds of the sum of the signs of those kept."""
    if group.path:
        yield from _flow(group)
        return
    for incoming in group.nodes:
        edges = [edge for edge, _ in incoming]
        least = 1.0 if group.keep is None else 0.0
        for edge in edges:
            yield _signs(group, [edge]), least, 1.0
        if group.keep is not None:
            count = float(min(group.keep, len(edges)))
            yield _signs(group, edges), count, count


def _flow(group: Group) -> Iterator[tuple[np.ndarray, float, float]]:
    """Yield the rules of a path: one edge enters the last state, and as many leave any other node as enter it."""
    inputs = group.concat[0] + 1 - len(group.nodes)
    for node, incoming in enumerate(group.nodes):
        state = inputs + node
        entering = _signs(group, [edge for edge, _ in incoming])
        leaving = _signs(group, [edge for later in group.nodes for edge, source in later if source == state])
        last = state == group.concat[0]
        yield entering - leaving, float(last), float(last)


def _signs(group: Group, edges: Sequence[int]) -> np.ndarray:
    signs = np.zeros(group.edges)
    signs[list(edges)] = 1.0
    return signs


def _solved(
    program: _Program, rows: Rows, tables: Sequence[CostTable], limits: Sequence[float], cuts: Sequence[np.ndarray]
) -> np.ndarray | None:
    """Return `(V,)` bool, the heaviest choice that keeps to all constraints and is none of those cut off."""
    worth = program.gathered(rows)
    if not len(worth):
        return None
    # It takes a third of a second to import, which most commands do not need.
    from scipy.optimize import Bounds, LinearConstraint, milp

    constraints = [LinearConstraint(program.structure, program.low, program.high)]
    for table, limit in zip(tables, limits, strict=True):
        own = program.gathered(table.rows)
        scale = np.abs(own).max() or 1.0
        if np.isfinite(limit):
            constraints.append(LinearConstraint(own[None] / scale, -np.inf, (limit - table.base) / scale))
    for taken in cuts:
        constraints.append(LinearConstraint(taken[None].astype(float), -np.inf, taken.sum() - 1.0))
    result = milp(
        -worth * GREATEST / (np.abs(worth).max() or 1.0),
        integrality=np.ones(len(worth)),
        bounds=Bounds(0, 1),
        constraints=constraints,
        # Without presolve: taking solutions back through it, HiGHS now and then prints lines of its own.
        options={"mip_rel_gap": 0.0, "presolve": False},
    )
    if result.status == 2:
        return None
    if result.x is None or result.status != 0:
        raise RuntimeError(f"the best architecture within limits was not found: {result.message}")
    return np.asarray(result.x > 0.5)
