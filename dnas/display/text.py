"""A table as plain text, for what prints text only."""

from io import StringIO
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

WIDTH = 100


def columns(title: str, *names: str, right: int = 0) -> Table:
    """Return an empty table; the last `right` columns hold numbers."""
    table = Table(title=title, title_justify="left")
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index >= len(names) - right else "left", overflow="fold")
    return table


def plain(shown: RenderableType) -> str:
    """Return what a terminal of `WIDTH` letters without colours would show."""
    text = StringIO()
    # Within a notebook, Rich would show the table there and then instead of writing it.
    settings: dict[str, Any] = {"color_system": None, "force_terminal": False, "force_jupyter": False}
    Console(file=text, width=WIDTH, highlight=False, **settings).print(shown)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
