"""Small pieces of HTML that the report's sections are made of; all text that comes in is escaped here."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from json import dumps
from typing import Any

from dnas.report.curves import Line


def document(title: str, policy: str, style: str, content: Iterable[str]) -> str:
    """Return a whole page.

    Args:
        title: plain text.
        policy: what the page may load, as a Content-Security-Policy.
        style: its style sheet.
        content: markup; empty parts are left out.
    """
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            "<main>",
            *(part for part in content if part),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def section(heading: str, *content: str, name: str = "") -> str:
    """Return a section with its heading; `content` is markup."""
    anchor = f' id="{escape(name)}"' if name else ""
    return "\n".join([f"<section{anchor}>", f"<h2>{escape(heading)}</h2>", *content, "</section>"])


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of plain text."""
    return f"<p{_kind(kind)}>{escape(text)}</p>"


def tile(label: str, value: str, note: str = "") -> str:
    """Return one key number for a list of tiles."""
    small = f'<dd class="note soft">{escape(note)}</dd>' if note else ""
    return f'<div class="tile"><dt>{escape(label)}</dt><dd class="value">{escape(value)}</dd>{small}</div>'


def scroller(label: str, content: str, kind: str = "") -> str:
    """Return a card that scrolls sideways by itself, by keyboard too, where its content is wider than the page."""
    return (
        f'<div class="card scroll{f" {kind}" if kind else ""}" tabindex="0" role="group" '
        f'aria-label="{escape(label)}">\n{content}\n</div>'
    )


def values(heading: str, rows: Mapping[str, Any]) -> str:
    """Return a card with a table of names and values; empty where there are none."""
    if not rows:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td>{escape(_plain(value))}</td></tr>'
        for name, value in rows.items()
    )
    return f'<div class="card"><h3>{escape(heading)}</h3><table class="values"><tbody>{body}</tbody></table></div>'


def figure(caption: str, svg: str, *, legend: str = "", kind: str = "") -> str:
    """Return a picture with its caption and legend, all markup."""
    return f"<figure{_kind(kind)}><figcaption>{caption}</figcaption>{legend}{svg}</figure>"


def legend(lines: Iterable[Line]) -> str:
    """Return the key to a chart's lines."""
    entries = "".join(f"<li>{_stroke(line)}{escape(line.name)}</li>" for line in lines)
    return f'<ul class="legend">{entries}</ul>'


def subscripts(name: str) -> str:
    """Return markup for a state's name such as "c_{k-1}"."""
    head, _, index = name.partition("_")
    return f"{escape(head)}<sub>{escape(index.strip('{}'))}</sub>" if index else escape(head)


def interval(low: float, value: float, high: float, span: tuple[float, float]) -> str:
    """Draw a value and its interval on an axis that covers `span`."""
    start, end = span
    a, x, b = (6 + 178 * (one - start) / ((end - start) or 1) for one in (low, value, high))
    return (
        '<svg viewBox="0 0 190 22" aria-hidden="true">'
        f'<path d="M{a:.1f} 11H{b:.1f}M{a:.1f} 6v10M{b:.1f} 6v10" stroke="currentColor" stroke-width="1.6"/>'
        f'<circle cx="{x:.1f}" cy="11" r="4.5" fill="currentColor"/></svg>'
    )


def table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], kind: str = "") -> str:
    """Return a table of markup: plain headings, and for each row its class and cells; the first cell names the row."""
    head = "".join(f'<th scope="col"{_kind("number" if i else "")}>{escape(h)}</th>' for i, h in enumerate(heads))
    body = []
    for row_kind, cells in rows:
        rest = "".join(f"<td{_kind('number')}>{cell}</td>" for cell in cells[1:])
        body.append(f'<tr{_kind(row_kind)}><th scope="row">{cells[0]}</th>{rest}</tr>')
    return f"<table{_kind(kind)}><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _stroke(line: Line) -> str:
    # The pattern is in units of the line's width, as matplotlib draws it.
    width = 2.2 if line.strong else 1.6
    dashes = f' stroke-dasharray="{" ".join(f"{width * d:g}" for d in line.dashes)}"' if line.dashes else ""
    return (
        f'<svg viewBox="0 0 30 10" aria-hidden="true"><path d="M0 5H30" stroke="{line.colour}" '
        f'stroke-width="{width}"{dashes}/></svg>'
    )


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)
