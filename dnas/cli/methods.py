"""`dnas methods`."""

import importlib
import re

import click
from rich.console import Console
from rich.table import Table


@click.command()
@click.argument("words", nargs=-1)
def methods(words: tuple[str, ...]) -> None:
    """List every search method with its parts, its paper and when to use it; WORDS filter by name or part.

    \b
    Examples:
      dnas methods
      dnas methods partial
      dnas search --method pc_darts
    """
    from dnas import plugins
    from dnas.errors import UserError

    table = Table()
    for column in ("method", "parts", "when", "paper"):
        table.add_column(column, no_wrap=column == "method", overflow="fold")
    for name, module_name in sorted(plugins.names(plugins.METHODS).items()):
        module = importlib.import_module(module_name)
        # A user's own method may say nothing of itself.
        parts, advice = (getattr(module, constant, "") for constant in ("PARTS", "ADVICE"))
        paper = re.search(r"arXiv:\d+\.\d+|OpenReview:\w+", module.__doc__ or "")
        if all(word in f"{name} {parts}" for word in words):
            table.add_row(name, parts, advice, paper[0] if paper else "")
    if not table.row_count:
        raise UserError(f"no method matches {' '.join(words)!r}: dnas methods lists all of them")
    Console().print(table)
