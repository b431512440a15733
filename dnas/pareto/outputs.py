"""A front as a CSV of its points, as JSON, and as tables and a sentence for the terminal."""

import csv
import io
import json
from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from dnas.hardware.limits import amount
from dnas.pareto.front import Measured
from dnas.pareto.record import TRUE, WORDS, Front, Point
from dnas.pareto.score import line
from dnas.study.verdict import shown

SCHEMA = "dnas.front/1"
COLUMNS = (
    "kind", "seed", "draw", "target", "cost", "supernet_accuracy", "true_accuracy", "on_front", "file", "architecture",
)  # fmt: skip
DASH = "\u2013"
HEADS = ("points", "number", "hypervolume", "range", "of the true front's", "distance (IGD+)")


def csv_text(front: Front) -> str:
    """Return one line a point under a header; accuracies are shares, and what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_row(point) for point in front.points)
    return text.getvalue()


def json_text(front: Front) -> str:
    """Return everything about a front as JSON, schema `dnas.front/1`."""
    value: dict[str, Any] = {"schema": SCHEMA, **{name: getattr(front, name) for name in vars(front)}}
    value["points"] = [{**asdict(point), "genotype": point.genotype.to_json()} for point in front.points]
    value["measured"] = [one._asdict() for one in front.measured]
    value["box"] = front.box._asdict()
    value["verdict"] = verdict(front)
    return json.dumps(value, indent=2) + "\n"


def verdict(front: Front) -> str:
    """Return one plain sentence on what the front is."""
    points = front.front
    count = f"{len(points)} architecture{'s' * (len(points) != 1)}"
    ends = [amount(points[place].cost, front.metric) for place in (0, -1)]
    words = f"{count} from {ends[0]} to {ends[1]} {front.title}" if len(points) > 1 else f"{count} of {ends[0]}"
    first, rival = front.measured[0], next((one for one in front.measured if one.name.startswith("random")), None)
    if first.relative is None:
        return f"{words}, by the supernet's accuracy"
    against = ""
    if rival is not None and rival.relative is not None:
        whole = first.hypervolume / first.relative if first.relative else 1.0
        ends = [shown(volume / whole) for volume in (rival.low, rival.high)]
        against = (
            f", {rival.sets} random sets of as many {shown(rival.relative)} on average (from {ends[0]} to {ends[1]})"
        )
    return f"{words} reach {shown(first.relative)} of the true front's hypervolume{against}"


def cells(one: Measured) -> list[str]:
    """Return the numbers of a set of points under `HEADS`."""
    spread = f"{one.low:.4f} {DASH} {one.high:.4f}" if one.sets > 1 else ""
    sets = f", {one.sets} sets" if one.sets > 1 else ""
    return [
        one.name + sets,
        f"{one.points}",
        f"{one.hypervolume:.4f}",
        spread,
        shown(one.relative),
        DASH if one.distance is None else f"{one.distance:.4f}",
    ]


def tables(front: Front) -> Group:
    """Return the found front and the numbers of all sets, for the terminal."""
    front_table = Table(title=Text(f"{front.name}: {front.measure}"))
    for index, name in enumerate((front.title, "accuracy", "supernet's", "seed", "found as", "architecture")):
        front_table.add_column(name, justify="right" if index < 4 else "left", overflow="fold")
    for point in front.front:
        values = (shown(point.accuracy), shown(point.supernet), f"{point.seed}", WORDS[point.kind])
        front_table.add_row(*map(Text, (amount(point.cost, front.metric), *values, line(point.genotype))))
    numbers = Table()
    for index, name in enumerate(HEADS):
        numbers.add_column(name, justify="right" if index else "left")
    for one in front.measured:
        numbers.add_row(*map(Text, cells(one)))
    return Group(front_table, numbers)


def _row(point: Point) -> list[Any]:
    front = "true" if point.on_front or point.kind == TRUE else "false"
    numbers = [point.seed, point.draw, point.target, point.cost, point.supernet, point.true]
    return [point.kind, *numbers, front, point.file, line(point.genotype)]
