"""The page of a front: one HTML file without scripts, whose points show what they are and can be hidden by kind."""

from html import escape
from pathlib import Path

from dnas.hardware.limits import amount
from dnas.pareto.outputs import HEADS, cells, csv_text, json_text, verdict
from dnas.pareto.record import WORDS, Front, Point
from dnas.pareto.score import line
from dnas.report import parts
from dnas.report.front_chart import LOOKS, chart
from dnas.report.page import POLICY
from dnas.report.study.look import swatch
from dnas.report.study.parties import listed, spaced
from dnas.report.study.style import STYLE as STUDY
from dnas.report.theme import STYLE
from dnas.report.words import DASH, plural
from dnas.run.directory import RunDirectory
from dnas.study.verdict import shown

PAGE, CSV, JSON = "front.html", "front.csv", "front.json"
OWN = """
.picture a:hover .mark, .picture g:hover > .mark { stroke: var(--ink); stroke-width: 2.5; }
.picture a:hover .hollow { stroke-width: 3; } .kind-random { opacity: .55; } .kind-true .mark { stroke: none; }
.legend label { display: flex; align-items: center; gap: 6px; cursor: pointer; }
.front tr:target > * { background: var(--good-card); }
:is(.front, .points) th, :is(.front, .points) code { white-space: nowrap; } .points { font-size: .85rem; }
:is(.front, .points) tr > :last-child { text-align: left; padding-left: 18px; }
""" + "".join(f"main:has(#show-{kind}:not(:checked)) .kind-{kind} {{ display: none; }}\n" for kind in LOOKS)
COLUMNS = ["Accuracy", "By the supernet", "Seed", "Found as", "Limit", "File", "Architecture"]


def write_front(front: Front, folder: Path) -> Path:
    """Write `front.csv`, `front.json` and `front.html` into an existing folder; return the page's path.

    Raises:
        UserError: where one of them cannot be written.
    """
    for name, text in {CSV: csv_text(front), JSON: json_text(front), PAGE: front_page(front)}.items():
        RunDirectory(Path(folder)).write_text(name, text)
    return Path(folder) / PAGE


def front_page(front: Front) -> str:
    """Return the whole page; the same front gives the same bytes."""
    content = [_head(front), _tiles(front), _picture(front), _table(front), _numbers(front), _others(front)]
    content += [_about(front), _command(front)]
    return parts.document(f"dnas pareto: {front.name}", POLICY, STYLE + STUDY + OWN, content)


def _head(front: Front) -> str:
    facts = [
        f"dnas pareto {front.name}",
        f"space {front.space}",
        f"method {front.method}",
        f"data {front.data}",
        f"{'seed' if len(front.seeds) == 1 else 'seeds'} {listed(front.seeds)}",
    ]
    said = verdict(front)
    return "\n".join(
        [
            parts.paragraph(" \u00b7 ".join(facts), "over"),
            '<header class="verdict">',
            f"<h1>{escape(spaced(said[:1].upper() + said[1:]))}.</h1>",
            parts.paragraph(f"Accuracy: {front.measure}. Nothing was retrained; dnas train trains a point's file."),
            "</header>",
        ]
    )


def _tiles(front: Front) -> str:
    points, first = front.front, front.measured[0]
    tiles = [
        parts.tile("On the front", str(len(points)), f"of {len(front.of('weights', 'supernet'))} found points"),
        parts.tile("Cheapest", amount(points[0].cost, front.metric), f"accuracy {shown(points[0].accuracy)}"),
        parts.tile("Most accurate", shown(points[-1].accuracy), amount(points[-1].cost, front.metric)),
        parts.tile("Hypervolume", f"{first.hypervolume:.4f}", _share(first.relative)),
    ]
    if first.distance is not None:
        tiles.append(parts.tile("Distance to the true front", f"{first.distance:.4f}", "IGD+, 0 is on it"))
    tiles.append(parts.tile("Searches", str(len(front.seeds)), f"asked about {front.looks:,} architectures"))
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _share(relative: float | None) -> str:
    return "share of the box" if relative is None else f"{shown(relative)} of the true front's"


def _picture(front: Front) -> str:
    keys = "".join(
        f'<li><label><input type="checkbox" id="show-{kind}" checked>{swatch(own, line=False)}'
        f"{escape(WORDS[kind])}</label></li>"
        for kind, own in reversed(LOOKS.items())
        if front.of(kind)
    )
    return parts.section(
        "Accuracy against cost",
        parts.paragraph(
            "Up and to the left is better. Point at a mark to see its architecture, and follow it to its row in the "
            "table. Hollow marks are found points that another found point is better than. The black line is the front "
            "of what was found, of all seeds.",
            "soft",
        ),
        parts.figure("", chart(front), legend=f'<ul class="legend">{keys}</ul>'),
    )


def _table(front: Front) -> str:
    heads = [front.title, *COLUMNS]
    rows = [("", _cells(front, point)) for point in front.front]
    head, body = parts.table(heads, rows, "front").split("<tbody><tr>")
    table = f"{head}<tbody>{_anchored(body)}"
    return parts.section("The front", parts.scroller("the front", table))


def _anchored(rows: str) -> str:
    """Return the rows of a table, of which the first lacks its opening tag, with the anchors that points link to."""
    return "".join(f'<tr id="row-{number}">{row}' for number, row in enumerate(rows.split("<tr>"), 1))


def _cells(front: Front, point: Point) -> list[str]:
    return [
        escape(amount(point.cost, front.metric)),
        shown(point.accuracy),
        shown(point.supernet),
        str(point.seed),
        escape(WORDS[point.kind]),
        DASH if point.target is None else escape(amount(point.target, front.metric)),
        escape(point.file),
        f"<code>{escape(line(point.genotype))}</code>",
    ]


def _numbers(front: Front) -> str:
    box = front.box
    corners = f"{amount(box.dearest, front.metric)} and {shown(box.worst)}"
    whole = (
        "the space's dearest cost and least true accuracy"
        if front.judged
        else "the dearest cost of any point and accuracy 0"
    )
    ideal = f"{amount(box.cheapest, front.metric)} and {shown(box.best)}"
    words = (
        f"Hypervolume: the share of the box between the ideal point ({ideal}) and the reference point ({corners}: "
        f"{whole}) that the points dominate."
    )
    if front.judged:
        words += (
            " Distance (IGD+): how much the true front's points lack on average in the nearest of the points, in sides "
            "of the box. Random sets are as large as the set that they are held against and spread over the costs "
            "likewise; their numbers are means, with the range of the hypervolume. Which of its points are on a front "
            "is told by true accuracies, for found and random sets alike."
        )
    else:
        words += " Accuracies are the supernets' own, by which points were also chosen: they flatter what was found."
    rows = [("mine" if not index else "", list(map(escape, cells(one)))) for index, one in enumerate(front.measured)]
    heads = [head.capitalize() if "IGD" not in head else "Distance (IGD+)" for head in HEADS]
    return parts.section(
        "How good it is",
        parts.paragraph(spaced(words), "soft"),
        parts.scroller("numbers", parts.table(heads, rows, "comparison")),
    )


def _others(front: Front) -> str:
    def block(title: str, points: tuple[Point, ...]) -> str:
        rows = [("", _cells(front, point)) for point in points]
        table = parts.scroller(title, parts.table([front.title, *COLUMNS], rows, "points"))
        return f"<details><summary>{escape(title)}: {plural(len(points), 'point')}</summary>{table}</details>"

    best = {point.file for point in front.front}
    rest = tuple(point for point in front.of("weights", "supernet") if point.file not in best)
    return block("Found, but not on the front", rest) if rest else ""


def _about(front: Front) -> str:
    about = {
        "space": front.space,
        "data": front.data,
        "method": front.method,
        "seeds": ", ".join(map(str, front.seeds)),
        "accuracy": front.measure,
        "limits": ", ".join(amount(target, front.metric) for target in front.targets),
    }
    searched = {name: value for name, value in front.settings.items() if not name.startswith("retrain.")}
    tables = [
        parts.values("Front", about),
        parts.values("Cost", front.about),
        parts.values("Environment", front.environment),
        parts.values("Settings of the searches", searched),
    ]
    return parts.section("Cost, environment and settings", f'<div class="columns">{"".join(tables)}</div>')


def _command(front: Front) -> str:
    return parts.section(
        "To run it again", f'<div class="card"><pre class="command">{escape(front.command)}</pre></div>'
    )
