"""Architectures of the HyperCuboid space as paths through its grid, and the published ones."""

from typing import NamedTuple

from dnas.errors import UserError, unknown
from dnas.genotype import Cell, Edge, Genotype
from dnas.nn import operations
from search_spaces.hypercuboid.grid import END, GRID, Grid

SPACE = "hypercuboid"
DEAD = ("none", "noise")
"""Operations through which a path carries nothing of the images."""


class Path(NamedTuple):
    """A path through a grid of N layers.

    Attributes:
        widths: 2 N + 1 numbers of widths: that of the stem, then that of each level.
        ops: the 2 N operations between them.
    """

    widths: tuple[int, ...]
    ops: tuple[str, ...]


def known_ops() -> tuple[str, ...]:
    """Return the names of the operations that an edge may have."""
    return tuple(op for op in operations.names() if op not in DEAD)


def to_genotype(path: Path, grid: Grid) -> Genotype:
    """Return a path as a genotype, with a node for each state of the grid but the stems.

    Raises:
        ValueError: if the path has not one width for each level and one operation between each two.
    """
    states = [level * grid.widths + width for level, width in enumerate(path.widths)] + [grid.end]
    nodes: list[tuple[Edge, ...]] = [()] * (grid.end + 1 - grid.widths)
    for state, source, op in zip(states[1:], states[:-1], (*path.ops, END), strict=True):
        nodes[state - grid.widths] = (Edge(op, source),)
    return Genotype(SPACE, ((GRID, Cell(tuple(nodes), (grid.end,))),))


def grid_of(genotype: Genotype) -> Grid:
    """Return the grid that a genotype lies in; `UserError` if it has not the form of one."""
    names = tuple(name for name, _ in genotype.cells)
    if names != (GRID,):
        raise UserError(f"genotype: expected the cell {GRID!r}, got {', '.join(names) or 'none'}")
    cell = genotype[GRID]
    widths = cell.concat[0] + 1 - len(cell.nodes) if len(cell.concat) == 1 else 0
    layers = (len(cell.nodes) - 1) // (2 * widths) if widths > 0 else 0
    if layers < 1 or len(cell.nodes) != 2 * widths * layers + 1:
        raise UserError(
            f"genotype: expected a node for each of W widths on 2 N levels and one at the end, state W (2 N + 1), "
            f"which 'concat' names, got {len(cell.nodes)} nodes and 'concat' {list(cell.concat)}"
        )
    return Grid(layers, widths)


def to_path(genotype: Genotype) -> Path:
    """Return the path of a genotype.

    Raises:
        UserError: for what is no architecture of this space: another form, an edge beside the path, a source of another
            level, or an unknown operation.
    """
    grid = grid_of(genotype)
    nodes = genotype[GRID].nodes
    widths, ops, state = [], [], grid.end
    while state >= grid.widths:
        kept = nodes[state - grid.widths]
        if len(kept) != 1:
            raise UserError(f"genotype: state {state} is on the path and must have one incoming edge, got {len(kept)}")
        if kept[0].source not in grid.sources(state):
            raise UserError(
                f"genotype: state {state} is reached from the states {list(grid.sources(state))}, got {kept[0].source}"
            )
        state = kept[0].source
        ops.append(kept[0].op)
        widths.append(state % grid.widths)
    beside = sum(map(len, nodes)) - len(ops)
    if beside:
        raise UserError(f"genotype: expected a single path to the end, got edges beside it, {beside} in all; drop them")
    for op in ops:
        if op not in known_ops():
            raise UserError(f"genotype: {unknown('operation', op, known_ops())}")
    if ops[0] != END:
        raise UserError(f"genotype: the end is reached by {END}, got {ops[0]}")
    return Path(tuple(reversed(widths)), tuple(reversed(ops[1:])))


_SHORT = {"pool": "max_pool_3x3", "sharp": "sharp_sep_conv_3x3"}
_PUBLISHED = {
    "MAX_W": "3 pool 2 pool 3 pool 0 pool 3 sharp 3 pool 3 pool 3 pool 3",
    "SCALAR": "0 sharp 0 pool 2 sharp 2 pool 0 pool 3 pool 3 pool 3 pool 3",
    "HANDMADE": "0 sharp 0 pool 1 sharp 1 pool 2 sharp 2 pool 3 sharp 3 pool 3",
}
"""Widths and the operations between them."""


def published() -> dict[str, Genotype]:
    """Return the published architectures by name, those of a grid of 4 layers and 4 widths (32 to 256 channels).

    They are MULTI_CHANNEL_MAX_W_PATH, ..._SCALAR_PATH and ..._HANDMADE_PATH of ahundt/sharpDARTS (6f593d4,
    `cnn/genotypes.py`): found with Max-W, found with plain weights, and made by hand for comparison.
    """
    grid = Grid(layers=4, widths=4)
    return {name: to_genotype(_path(text), grid) for name, text in _PUBLISHED.items()}


def named(name: str) -> Genotype:
    """Return the published architecture called `name`; `UserError` with the nearest name if there is none."""
    every = published()
    if name not in every:
        raise unknown("genotype", name, every)
    return every[name]


def _path(text: str) -> Path:
    words = text.split()
    return Path(tuple(map(int, words[::2])), tuple(_SHORT[word] for word in words[1::2]))
