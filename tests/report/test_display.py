"""Values show themselves: pictures name everything that is kept or offered, tables have a row for each of it."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from io import StringIO

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from rich.console import Console

import dnas
from dnas.display.text import plain
from dnas.selection import random_genotype
from search_spaces import darts, hypercuboid, nasbench201, rdarts, rnn

MINE = {
    name: dnas.Group(1, ops, nodes=(((0, 0),),), concat=(1,))
    for name, ops in {"kernel <": ("3 & 5", "7"), "depth": ("1", "2", "3")}.items()
}
SVG = "{http://www.w3.org/2000/svg}"
V2 = darts.named("DARTS_V2")
SPACES = {
    "darts": darts.space(classes=10),
    "S1": rdarts.space(classes=10, subset="S1"),
    "nasbench201": nasbench201.space(classes=10),
    "hypercuboid": hypercuboid.space(classes=10),
    "rnn": rnn.space(classes=10),
    "unconnected": darts.space(classes=10)._replace(
        spec={"width <": dnas.Group(1, ("16 & up", "32")), "depth": dnas.Group(3, ("1", "2", "3"))}
    ),
}
SPACES["choices"] = SPACES["darts"]._replace(name="mine", spec=MINE)
CHOSEN = random_genotype(SPACES["choices"], np.random.default_rng(0))


def drawings(html: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg .*?</svg>", html, re.DOTALL)]


def words(svg: ET.Element) -> Counter[str]:
    return Counter("".join(text.itertext()) for text in svg.iter(f"{SVG}text"))


def rows(table: object) -> list[list[str]]:
    lines = plain(table).splitlines()
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


class Closed(HTMLParser):
    """Every tag of a fragment is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "br":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("genotype", [V2, random_genotype(SPACES["nasbench201"], np.random.default_rng(0))])
def test_a_genotype_draws_every_kept_operation(genotype: dnas.Genotype) -> None:
    html = genotype._repr_html_()
    Closed(html)
    drawn = drawings(html)
    assert len(drawn) == len(genotype.cells)
    for svg, (_, cell) in zip(drawn, genotype.cells, strict=True):
        for op, times in Counter(edge.op for node in cell.nodes for edge in node).items():
            assert words(svg)[op] >= times


def test_a_genotype_has_a_row_for_each_kept_edge() -> None:
    expected = [
        [name, str(2 + index), {0: "c_{k-2}", 1: "c_{k-1}"}.get(edge.source, str(edge.source)), edge.op]
        for name, cell in V2.cells
        for index, node in enumerate(cell.nodes)
        for edge in node
    ]
    assert rows(V2) == expected
    assert len(expected) == 16


def test_choices_that_stand_alone_are_one_drawing_and_a_row_each() -> None:
    kept = [[name, cell.nodes[0][0].op] for name, cell in CHOSEN.cells]
    assert [name for name, _ in kept] == list(MINE)
    assert rows(CHOSEN) == kept
    (svg,) = drawings(CHOSEN._repr_html_())
    assert words(svg) == Counter(["mine: what was kept", *(word for row in kept for word in row)])
    (svg,) = drawings(SPACES["choices"]._repr_html_())
    offered = [op for group in MINE.values() for op in group.ops]
    assert words(svg) == Counter(["mine: what may be chosen", *MINE, *offered])


@pytest.mark.parametrize("name", [name for name in SPACES if name != "choices"])
def test_a_space_draws_every_operation_of_every_group(name: str) -> None:
    space = SPACES[name]
    html = space._repr_html_()
    Closed(html)
    drawn = drawings(html)
    assert len(drawn) == len(set(space.spec.values()))
    for svg in drawn:
        (group,) = {group for key, group in space.spec.items() if key in svg.findtext(f"{SVG}title", "")}
        seen = words(svg)
        assert all(seen[op] for op in group.ops)
        curves = [path for path in svg.iter(f"{SVG}path") if "C" in path.get("d", "")]
        assert len(curves) == sum(map(len, group.nodes))
        width, height = float(svg.get("width", 0)), float(svg.get("height", 0))
        for rect in svg.iter(f"{SVG}rect"):
            if rect.get("class") != "paper":
                x, y, w, h = (float(rect.get(key, "nan")) for key in ("x", "y", "width", "height"))
                assert 0 <= x < x + w <= width
                assert 0 <= y < y + h <= height


@pytest.mark.parametrize("name", SPACES)
def test_a_space_has_a_row_for_each_group(name: str) -> None:
    space = SPACES[name]
    text = str(space)
    heads = [row[:2] for row in rows(space) if row[0]]
    assert heads == [[key, str(group.edges)] for key, group in space.spec.items()]
    assert all(op in text for group in space.spec.values() for op in group.ops)


def test_a_run_shows_its_verdict_numbers_and_cells(make_run) -> None:
    run = dnas.Run(make_run(found=0.9778, baselines=(0.9639, 0.9)))
    html, text = run._repr_html_(), str(run)
    Closed(html)
    assert len(drawings(html)) == 2
    for shown in (html, text):
        for word in (
            run.verdict.headline.replace("\u00a0", " "),
            "97.8 %",
            "96.4 %",
            "43.2 k",
            "3.35 M",
            "Search time",
            "sep_conv_3x3",
        ):
            assert word in shown.replace("\u00a0", " "), word
    assert "did not beat" not in text
    assert run.genotype == V2
    assert run.accuracy == 0.9778
    assert repr(run) == f"dnas.Run({str(run.path)!r})"


def test_a_run_that_was_not_trained_has_no_accuracy(make_run, sentence) -> None:
    path = make_run()
    result = dnas.Run(path)
    object.__setattr__(result.record, "found", None)
    with sentence("not trained", "dnas train"):
        _ = result.accuracy


def test_a_folder_that_is_no_run_is_refused(tmp_path, sentence) -> None:
    with sentence("nowhere", "runs/NAME"):
        dnas.Run(tmp_path / "nowhere")


@pytest.mark.parametrize("value", [V2, SPACES["darts"]], ids=["genotype", "space"])
def test_notebooks_get_pictures_and_terminals_tables(value: object) -> None:
    shell = InteractiveShell.instance()
    shown, _ = shell.display_formatter.format(value)
    assert "<svg" in shown["text/html"]
    assert shown["text/plain"] == plain(value)
    console = Console(record=True, width=100, file=StringIO())
    console.print(value)
    assert "┃" in console.export_text()


def test_showing_is_not_paid_for_at_import() -> None:
    code = "import sys, dnas; print(sorted({'matplotlib', 'dnas.report', 'dnas.display.genotype'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
