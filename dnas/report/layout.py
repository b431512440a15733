"""Where the parts of a cell go: a layered drawing with inputs left, output right and no line through a box.

The layers follow Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11(2), 1981): a state stands one layer right of its latest
source; a line that passes over layers gets a lane of its own in each of them; the order within layers comes from
barycentres; and heights are then pulled towards the neighbours' mean without changing the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from dnas.errors import UserError
from dnas.genotype import Cell

Point = tuple[float, float]
ROW = 34.0
"""Height of one operation's box with its spacing, in the drawing's units."""
LANE = 20.0
GAP = 26.0


@dataclass(frozen=True)
class Wire:
    """One drawn edge: from state `source`, through lanes, to row `row` of the state `target`.

    `op` is the operation's name, or `None` for an edge into the concatenated output.
    """

    source: int
    target: int
    row: int
    op: str | None


@dataclass(frozen=True)
class Layout:
    """A cell's drawing, in layers and heights.

    Attributes:
        layer: for each state (inputs, nodes, then the output), the layer that it stands in; -1 for a node that nothing
            enters and nothing leaves, of which there is nothing to draw.
        y: for each state, the height of its middle; the smallest box edge is at 0.
        rows: for each wire, the height at which it enters its target.
        lanes: for each wire, the `(layer, height)` of each lane that it passes.
        wires: the edges, operations first.
        height: of the whole drawing.
    """

    layer: tuple[int, ...]
    y: tuple[float, ...]
    rows: tuple[float, ...]
    lanes: tuple[tuple[tuple[int, float], ...], ...]
    wires: tuple[Wire, ...]
    height: float

    def states(self) -> tuple[int, ...]:
        """Return the states that are drawn."""
        return tuple(state for state, layer in enumerate(self.layer) if layer >= 0)


@dataclass
class _Item:
    """Something that takes height in a layer: a state, or the lane of a long wire."""

    height: float
    before: list[int]
    after: list[int]
    y: float = 0.0


def lay_out(cell: Cell, inputs: int) -> Layout:
    """Lay out `cell`, whose states 0 .. `inputs` - 1 are its inputs.

    Raises:
        UserError: where an edge or the concatenation names a state that does not exist (yet) at that point.
    """
    _check(cell, inputs)
    wires = _wires(cell, inputs)
    layer = _layers(cell, inputs)
    states = len(layer)
    items, layers, chains = _items(wires, layer)
    layers = _ordered(items, layers)
    _place(items, layers)
    wires = _sorted_rows(wires, [items[chain[-1]].y for chain in chains])
    drawn = [items[item] for own in layers for item in own]
    top = min(item.y - item.height / 2 for item in drawn)
    bottom = max(item.y + item.height / 2 for item in drawn)
    fan = {state: sum(wire.target == state for wire in wires) for state in range(states)}
    y = [items[state].y - top for state in range(states)]
    return Layout(
        layer=layer,
        y=tuple(y),
        rows=tuple(
            y[wire.target] + (ROW * (wire.row - (fan[wire.target] - 1) / 2) if wire.op is not None else 0.0)
            for wire in wires
        ),
        lanes=tuple(
            tuple((layer[wire.source] + 1 + hop, items[lane].y - top) for hop, lane in enumerate(chain[1:]))
            for wire, chain in zip(wires, chains, strict=True)
        ),
        wires=wires,
        height=bottom - top,
    )


def _check(cell: Cell, inputs: int) -> None:
    for index, node in enumerate(cell.nodes):
        for edge in node:
            if not 0 <= edge.source < inputs + index:
                raise UserError(
                    f"cannot draw the cell: node {index} has an edge from state {edge.source}, expected one of 0 to "
                    f"{inputs + index - 1}; mend the genotype"
                )
    for state in cell.concat:
        if not 0 <= state < inputs + len(cell.nodes):
            raise UserError(
                f"cannot draw the cell: its output concatenates state {state}, expected one of 0 to "
                f"{inputs + len(cell.nodes) - 1}; mend the genotype"
            )


def _wires(cell: Cell, inputs: int) -> tuple[Wire, ...]:
    output = inputs + len(cell.nodes)
    ops = [
        Wire(edge.source, inputs + index, row, edge.op)
        for index, node in enumerate(cell.nodes)
        for row, edge in enumerate(node)
    ]
    return (*ops, *(Wire(state, output, row, None) for row, state in enumerate(cell.concat)))


def _layers(cell: Cell, inputs: int) -> tuple[int, ...]:
    used = {edge.source for node in cell.nodes for edge in node} | set(cell.concat)
    layer = [0] * inputs
    for node in cell.nodes:
        idle = not node and len(layer) not in used
        layer.append(-1 if idle else 1 + max((layer[edge.source] for edge in node), default=0))
    return (*layer, 1 + max(layer))


def _items(wires: Sequence[Wire], layer: Sequence[int]) -> tuple[list[_Item], list[list[int]], list[tuple[int, ...]]]:
    """Return the items (states first), the items of each layer, and each wire's items from its source to its last."""
    fan = [sum(wire.target == state and wire.op is not None for wire in wires) for state in range(len(layer))]
    items = [_Item(ROW * max(1, count) + GAP, [], []) for count in fan]
    layers: list[list[int]] = [[] for _ in range(max(layer) + 1)]
    for state, depth in enumerate(layer):
        if depth >= 0:
            layers[depth].append(state)
    chains: list[tuple[int, ...]] = []
    for wire in wires:
        chain = [wire.source]
        for depth in range(layer[wire.source] + 1, layer[wire.target]):
            chain.append(len(items))
            layers[depth].append(len(items))
            items.append(_Item(LANE, [], []))
        for a, b in pairwise([*chain, wire.target]):
            items[a].after.append(b)
            items[b].before.append(a)
        chains.append(tuple(chain))
    return items, layers, chains


def _ordered(items: Sequence[_Item], layers: list[list[int]]) -> list[list[int]]:
    """Return the layers in the order with the fewest crossings that barycentre sweeps find; inputs keep theirs."""
    best, fewest = layers, _crossings(items, layers)
    for sweep in range(12):
        layers = [list(layer) for layer in layers]
        forward = sweep % 2 == 0
        for depth in range(1, len(layers)) if forward else range(len(layers) - 2, 0, -1):
            place = {item: rank for layer in layers for rank, item in enumerate(layer)}
            near = {item: items[item].before if forward else items[item].after for item in layers[depth]}
            layers[depth].sort(
                key=lambda item: float(np.mean([place[n] for n in near[item]])) if near[item] else place[item]
            )
        count = _crossings(items, layers)
        if count < fewest:
            best, fewest = layers, count
    return best


def _crossings(items: Sequence[_Item], layers: Sequence[Sequence[int]]) -> int:
    place = {item: rank for layer in layers for rank, item in enumerate(layer)}
    total = 0
    for layer in layers:
        ends = [(place[a], place[b]) for a in layer for b in items[a].after]
        total += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(ends) for c, d in ends[:i])
    return total


def _place(items: Sequence[_Item], layers: Sequence[Sequence[int]]) -> None:
    """Give every item its height: near the mean of its neighbours, in order, and without overlap."""
    for layer in layers:
        _spread(items, layer, [0.0] * len(layer))
    for sweep in range(24):
        for layer in layers if sweep % 2 else reversed(layers):
            wished = [
                float(np.mean([items[n].y for n in items[i].before + items[i].after]))
                if items[i].before or items[i].after
                else items[i].y
                for i in layer
            ]
            _spread(items, layer, wished)


def _spread(items: Sequence[_Item], layer: Sequence[int], wished: Sequence[float]) -> None:
    """Set heights closest to `wished` that keep order and distance: an isotonic regression by pooling neighbours."""
    offsets: list[float] = []
    for rank, item in enumerate(layer):
        offsets.append(offsets[-1] + (items[layer[rank - 1]].height + items[item].height) / 2 if rank else 0.0)
    pools: list[tuple[float, int]] = []
    for wish, offset in zip(wished, offsets, strict=True):
        mean, size = wish - offset, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean, size = (other * count + mean * size) / (count + size), count + size
        pools.append((mean, size))
    means = [mean for mean, size in pools for _ in range(size)]
    for item, mean, offset in zip(layer, means, offsets, strict=True):
        items[item].y = mean + offset


def _sorted_rows(wires: Sequence[Wire], arrives_from: Sequence[float]) -> tuple[Wire, ...]:
    """Stack the operations that enter a state in the order in which their wires arrive, so that these do not cross."""
    rows: dict[int, int] = {}
    for target in {wire.target for wire in wires}:
        entering = [i for i, wire in enumerate(wires) if wire.target == target]
        for row, i in enumerate(sorted(entering, key=lambda i: (arrives_from[i], i))):
            rows[i] = row
    return tuple(replace(wire, row=rows[i]) for i, wire in enumerate(wires))
