"""A run directory as a value that shows itself."""

from collections.abc import Iterator
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnas.errors import UserError
from dnas.genotype import Genotype

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dnas.report.run import Run as Record
    from dnas.report.verdict import Verdict

STYLE = "border:1px solid #8590a0;border-left:6px solid {colour};border-radius:10px;padding:10px 16px;margin:4px 0 10px"
COLOURS = {"won": "#1f7a50", "lost": "#a84a10", "": "#2563b8"}


class Run:
    """A finished run, read from its directory: `dnas.Run("runs/NAME")`.

    In a notebook it shows its verdict, key numbers and cells; in a terminal (`rich.print(run)`, `print(run)`) the same
    as a table. `report.html` in the directory says more.

    Args:
        path: the directory that `dnas search` or `dnas train` left.

    Attributes:
        path: that directory.
        record: everything that the report is made of, read and checked (`dnas.report.run.Run`).

    Raises:
        UserError: where a file of the run is missing or malformed; the message names it.
    """

    def __init__(self, path: str | Path) -> None:
        from dnas.report.run import read_run

        self.path = Path(path)
        self.record: Record = read_run(self.path)

    @property
    def genotype(self) -> Genotype:
        """The architecture that was found, or that was given to be trained."""
        return self.record.genotype

    @cached_property
    def verdict(self) -> "Verdict":
        """Whether it was better than random architectures, and how sure one can be of it."""
        from dnas.report.verdict import judge

        return judge(self.record)

    @property
    def accuracy(self) -> float:
        """Share of test images that the trained network classifies correctly, from 0 to 1.

        Raises:
            UserError: if the network was not trained.
        """
        if self.record.found is None:
            raise UserError(
                f"run {str(self.path)!r}: the found architecture was not trained, so that it has no test accuracy; "
                f"train it with: dnas train {self.path / 'genotype.json'}"
            )
        return self.record.found.accuracy

    def __repr__(self) -> str:
        return f"dnas.Run({str(self.path)!r})"

    def __str__(self) -> str:
        from dnas.display.text import plain

        return plain(self.__rich__())

    def __rich__(self) -> "RenderableType":
        from rich.console import Group

        from dnas.display.genotype import genotype_table
        from dnas.display.text import columns

        table = columns(f"dnas run {self.record.name}", "", "value", "", right=0)
        for label, value, note in self._numbers():
            table.add_row(label, value, note)
        words = f"{self.verdict.headline}\n{self.verdict.sentence}".replace("\u00a0", " ")
        return Group(words, "", table, "", genotype_table(self.genotype))

    def _repr_html_(self) -> str:
        from dnas.display.genotype import genotype_html

        box = STYLE.format(colour=COLOURS[self.verdict.kind])
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left">{escape(label)}</th><td style="text-align:right">'
            f'{escape(value)}</td><td style="text-align:left">{escape(note)}</td></tr>'
            for label, value, note in self._numbers()
        )
        return (
            f'<div style="{box}"><strong>{escape(self.verdict.headline)}</strong><br>{escape(self.verdict.sentence)}'
            f"</div><table>{rows}</table>{genotype_html(self.genotype)}"
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _numbers(self) -> Iterator[tuple[str, str, str]]:
        from dnas.report.page import key_numbers

        for label, value, note in key_numbers(self.record):
            yield label, value.replace("\u00a0", " "), note.replace("\u00a0", " ")
