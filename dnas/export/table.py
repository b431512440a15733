"""What was exported, as a table for the screen."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from dnas.export.files import FILES


def table(own: Mapping[str, Any]) -> Table:
    """Return a card's files and checks as a table."""
    found = Table(title=f"{own['space']} on {own['data']['name']}, batch norms folded: {own['batch_norm']['folded']}")
    for column in ("format", "files", "bytes", "largest difference", "test accuracy"):
        found.add_column(column, justify="left" if column in ("format", "files") else "right")
    for to, one in own["checks"].items():
        size = sum(own["size"]["files"][file] for file in FILES[to])
        accuracy = f"{100 * one['score']:.2f} %"
        found.add_row(to, ", ".join(FILES[to]), f"{size:,}", f"{one['difference']:.1e}", accuracy)
    return found
