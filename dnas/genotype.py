"""A discrete architecture as a frozen value, with a JSON and a readable text form."""

import json
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnas.errors import UserError, reason

if TYPE_CHECKING:
    from rich.table import Table

SCHEMA = "dnas.genotype/1"


@dataclass(frozen=True, order=True)
class Edge:
    """A kept edge: operation `op` applied to state `source` (0 and 1 are a cell's inputs, then its nodes)."""

    op: str
    source: int


@dataclass(frozen=True)
class Cell:
    """A cell: each node sums its edges; the output concatenates the states named in `concat`."""

    nodes: tuple[tuple[Edge, ...], ...]
    concat: tuple[int, ...]

    @property
    def only(self) -> str | None:
        """The operation of a cell that is a single choice, one edge from its only input; `None` of any other cell."""
        alone = self.concat == (1,) and len(self.nodes) == 1 and len(self.nodes[0]) == 1
        return self.nodes[0][0].op if alone and self.nodes[0][0].source == 0 else None


@dataclass(frozen=True)
class Genotype:
    """One architecture: a cell for each group of its search space, in the space's order.

    Attributes:
        space: name of the search space that it belongs to.
        cells: `(group, Cell)` pairs.
    """

    space: str
    cells: tuple[tuple[str, Cell], ...]

    def __getitem__(self, group: str) -> Cell:
        """Return the cell of `group`; `KeyError` where there is none."""
        return dict(self.cells)[group]

    def __str__(self) -> str:
        """One line a cell, one `op<-source` an edge, nodes apart by bars; `name=op` for a cell that is one choice."""
        return "\n".join(
            f"{name}: {_text(cell)}" if cell.only is None else f"{name}={cell.only}" for name, cell in self.cells
        )

    @property
    def content(self) -> Hashable:
        """What is equal for genotypes whose nodes keep the same edges, in whatever order."""
        return tuple(
            (name, tuple(tuple(sorted(node)) for node in cell.nodes), cell.concat) for name, cell in self.cells
        )

    def __rich__(self) -> "Table":
        from dnas.display.genotype import genotype_table

        return genotype_table(self)

    def _repr_html_(self) -> str:
        from dnas.display.genotype import genotype_html

        return genotype_html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        from dnas.display.text import plain

        printer.text(plain(self.__rich__()))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, read back by `from_json`."""
        cells = {
            name: {
                "nodes": [[[edge.op, edge.source] for edge in node] for node in cell.nodes],
                "concat": list(cell.concat),
            }
            for name, cell in self.cells
        }
        return {"schema": SCHEMA, "space": self.space, "cells": cells}

    @staticmethod
    def from_json(value: Any) -> "Genotype":
        """Read the JSON form.

        Raises:
            UserError: if `value` has another shape; whether operations exist and indices make sense is for the
                search space to say when it builds the network.
        """
        try:
            if value["schema"] != SCHEMA:
                raise UserError(f"genotype: expected schema {SCHEMA!r}, got {value['schema']!r}")
            cells = tuple((str(name), _cell(cell)) for name, cell in value["cells"].items())
            return Genotype(_typed(value["space"], str), cells)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise UserError(
                f'genotype: expected {{"schema", "space", "cells": {{name: {{"nodes": [[[op, source], ...], ...], '
                f'"concat": [...]}}}}}}, got something else ({type(error).__name__}: {error})'
            ) from None


def load(path: str | Path) -> Genotype:
    """Read a genotype file; `UserError` if it is missing, not JSON or of another shape."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the genotype {str(path)!r}: {reason(error)}") from None
    try:
        value = json.loads(text)
    # A whole number of thousands of digits is a ValueError of its own.
    except (ValueError, RecursionError) as error:
        raise UserError(f"the genotype {str(path)!r} is not JSON: {error}") from None
    try:
        return Genotype.from_json(value)
    except UserError as error:
        raise UserError(f"{str(path)!r}: {error}") from None


def _text(cell: Cell) -> str:
    nodes = " | ".join(" ".join(f"{edge.op}<-{edge.source}" for edge in node) for node in cell.nodes)
    return f"{nodes} ; concat {','.join(map(str, cell.concat))}"


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"expected {kind.__name__}, got {value!r}")
    return value


def _edge(value: Any) -> Edge:
    if len(_typed(value, list)) != 2:
        raise TypeError(f"expected [op, source], got {value!r}")
    return Edge(_typed(value[0], str), _typed(value[1], int))


def _cell(value: Any) -> Cell:
    nodes = tuple(tuple(_edge(edge) for edge in _typed(node, list)) for node in _typed(value["nodes"], list))
    return Cell(nodes, tuple(_typed(state, int) for state in _typed(value["concat"], list)))
