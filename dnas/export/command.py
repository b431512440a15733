"""A run's network to a folder of files that run without dnas, each checked, and its card."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas.data.augment import normalise
from dnas.errors import UserError, unknown
from dnas.export.card import CARD, PAGE, card, costs_on, write_card
from dnas.export.check import Checked, check, reference
from dnas.export.files import FILES, check_formats, example, exported_program, write
from dnas.export.place import check_folder, whole_folder
from dnas.export.trained import Trained, read_trained
from dnas.run.console import Screen
from dnas.types import Array

FOLDER = "export"
"""Where an export goes by default, within the run directory."""


class Wanted(NamedTuple):
    """What to export.

    Attributes:
        formats: of `FILES`, at least one.
        folded: whether batch norm is folded where it can be.
        images: on how many test images each format is checked; `None` for all.
        hardware: devices whose cost the card tells; none for what the run itself wrote down.
        overwrite: whether an earlier export may be replaced.
    """

    formats: Sequence[str]
    folded: bool = True
    images: int | None = None
    hardware: tuple[str, ...] = ()
    overwrite: bool = False


class Exported(NamedTuple):
    """What was exported.

    Attributes:
        folder: where it lies.
        card: its card.
    """

    folder: Path
    card: dict[str, Any]

    @property
    def page(self) -> Path:
        """The card to read."""
        return self.folder / PAGE


def export_run(
    path: Path, wanted: Wanted, out: Path | None, screen: Screen, *, data_dir: str | None = None, command: str = ""
) -> Exported:
    """Export a run's network; everything is written, or nothing.

    Args:
        path: the run directory.
        wanted: what to export.
        out: the folder to write; `None` for `export` in the run directory.
        screen: where progress is told.
        data_dir: folder of downloaded data sets.
        command: this process's command, for the card.

    Raises:
        UserError: for a run that cannot be exported, or a file that does not do what the network does.
    """
    for to in wanted.formats:
        if to not in FILES:
            raise unknown("format", to, FILES)
    if not wanted.formats:
        raise UserError(f"--to is missing: name one or more of {', '.join(FILES)}")
    formats = tuple(dict.fromkeys(wanted.formats))
    folder = path / FOLDER if out is None else out
    if path.is_dir():
        check_folder(folder, CARD, wanted.overwrite)
    trained = read_trained(path, data_dir)
    check_formats(trained, formats)
    costs = costs_on(trained, wanted.hardware)
    own = exported_program(trained, folded=wanted.folded)
    inputs, labels = (array[: wanted.images] for array in (trained.dataset.x_test, trained.dataset.y_test))

    def accuracy(outputs: np.ndarray) -> float:
        return float((outputs.argmax(axis=-1) == labels).mean())

    with screen.working(f"running the network on {len(inputs):,} test images"):
        expected = reference(_evaluated(trained), inputs)
    checks: dict[str, Checked] = {}
    with whole_folder(folder) as unfinished:
        for to in formats:
            with screen.working(f"writing {to}"):
                write(to, trained, own, unfinished, folded=wanted.folded)
            with screen.working(f"checking {to} in a clean process"):
                checks[to] = check(to, unfinished / FILES[to][0], inputs, expected, accuracy)
        found = card(
            trained,
            own.layers(example(trained)),
            checks,
            unfinished,
            folded=wanted.folded,
            accuracy=accuracy(expected),
            costs=costs,
            command=command,
        )
        write_card(unfinished, found)
    return Exported(folder, found)


def _evaluated(trained: Trained) -> Any:
    """Return `(images) -> logits` as the run itself evaluates."""
    data = trained.dataset

    def call(images: Array) -> Array:
        output, _ = trained.network.apply(trained.variables, normalise(images, data.mean, data.std), train=False)
        return output.logits

    return call
