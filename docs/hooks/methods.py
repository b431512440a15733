"""`<!-- methods -->` on a page becomes a table of every method: its parts, its paper, and when to use it."""

import importlib
import re

from dnas import plugins

MARK = "<!-- methods -->"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the table where the page asks for it."""
    return markdown.replace(MARK, table()) if MARK in markdown else markdown


def table() -> str:
    """Return the table, from what each method's module says: the words of `dnas methods`."""
    lines = ["| method | when | parts | paper |", "|---|---|---|---|"]
    for name, module_name in sorted(plugins.names(plugins.METHODS).items()):
        module = importlib.import_module(module_name)
        paper = re.search(r"arXiv:\d+\.\d+|OpenReview:\w+", module.__doc__ or "")
        link = f"[`{name}`](reference/dnas.md#dnas.{name})"
        lines.append(f"| {link} | {module.ADVICE} | {module.PARTS} | {paper[0] if paper else ''} |")
    return "\n".join(lines)
