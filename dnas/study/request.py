"""What a study is asked to do, as one value: checked before anything is written."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnas import plugins
from dnas.errors import UserError
from dnas.run import config
from dnas.run.config import Config

ALONE = "retrain"
"""As `truth`: the found networks are trained instead of looked up."""


@dataclass(frozen=True)
class Arm:
    """One competitor of a study: a method, perhaps with settings of its own.

    Attributes:
        text: as the user writes it, `METHOD` or `METHOD@NAME=VALUE@...`.
        method: the method's name.
        assignments: its own settings.
    """

    text: str
    method: str
    assignments: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Name of the folder with its runs; different for different texts."""
        return re.sub(r"[^A-Za-z0-9_.=@-]", lambda match: f"%{ord(match[0]):02x}", self.text)


@dataclass(frozen=True)
class Request:
    """A whole study.

    Attributes:
        space: name of the search space.
        arms: the competitors.
        seeds: the seeds that each of them gets.
        data: name of the data set to search on; `None` takes the preset's.
        preset: name of the preset that all runs start from.
        assignments: settings that all runs share.
        truth: data set of the table whose test accuracy is the score, or `retrain`; `None` takes the table's column for
            `data` if the space has a table, and retrains otherwise.
        table: file of the table; `None` looks for it where data sets lie.
        ranking: architectures for the quality of the supernet's ranking, drawn from the whole space and again from its
            top decile; 0 leaves it out. Needs a table.
        together: whether the seeds of an arm run as one compiled program.
        data_dir: folder of downloaded data sets.
    """

    space: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    data: str | None = None
    preset: str = "small"
    assignments: tuple[str, ...] = ()
    truth: str | None = None
    table: Path | None = None
    ranking: int = 100
    together: bool = False
    data_dir: str | None = None

    def __post_init__(self) -> None:
        """Raise `UserError` for a number that is out of range."""
        if self.ranking < 0:
            raise UserError(f"--ranking: expected a number that is not negative, got {self.ranking}")

    def config(self, arm: Arm, seed: int, *, retrained: bool) -> Config:
        """Return the request of one run; `UserError` for an unknown name or a value that does not fit."""
        alone = () if retrained else ("retrain.epochs=0",)
        return config.make(
            config.SEARCH,
            space=self.space,
            method=arm.method,
            preset=self.preset,
            data=self.data,
            seed=seed,
            baseline=None,
            assignments=(*self.assignments, *arm.assignments, *alone),
        )


def parse_arms(methods: Sequence[str]) -> tuple[Arm, ...]:
    """Read arms written as `METHOD` or `METHOD@NAME=VALUE@...`.

    Raises:
        UserError: for an empty or repeated arm, or a setting without a value.
    """
    arms = []
    for text in (word.strip() for word in methods):
        method, *assignments = text.split("@")
        wrong = [word for word in assignments if not re.fullmatch(r"[\w.]+=.*", word)]
        if not method or wrong:
            raise UserError(
                f"--methods: expected METHOD or METHOD@NAME=VALUE, such as darts@search.alpha_lr=0.003, got {text!r}"
            )
        arms.append(Arm(text, method, tuple(assignments)))
    if not arms:
        raise UserError("--methods: expected at least one method, such as darts, got none")
    repeated = [arm.text for index, arm in enumerate(arms) if arm in arms[:index]]
    if repeated:
        raise UserError(f"--methods: {repeated[0]!r} is named twice: name each once")
    return tuple(arms)


def split_methods(text: str, space: str) -> list[str]:
    """Divide arms at their commas, but not at those within a list, as in `darts@space.ops=none,skip_connect`.

    Args:
        text: arms separated by commas.
        space: name of the search space, which knows what settings are lists.

    Returns:
        The arms, for `parse_arms`. What follows a list and a comma is an arm where it names a method, else an item.

    Raises:
        UserError: for an unknown space or, before a list, an unknown method.
    """
    methods = plugins.names(plugins.METHODS)
    arms: list[str] = []
    for piece in text.split(","):
        if arms and piece.partition("@")[0].strip() not in methods and _ends_in_list(arms[-1], space):
            arms[-1] += f",{piece}"
        else:
            arms.append(piece)
    return arms


def _ends_in_list(arm: str, space: str) -> bool:
    """Return whether the last setting of an arm takes a list."""
    method, *assignments = arm.split("@")
    if not assignments:
        return False
    module = plugins.find(plugins.SPACES, "space", space)
    table = config.setting_table(module, config.method_of(method.strip()))
    setting = table.get(assignments[-1].partition("=")[0])
    return setting is not None and isinstance(setting.default, tuple)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read seeds: a number N means 0 to N-1, and `3,5,8` these seeds (`3,` the one seed 3).

    Raises:
        UserError: for anything else.
    """
    words = [word.strip() for word in text.split(",")]
    if words[-1] == "" and len(words) > 1:
        words.pop()
    if not all(re.fullmatch(r"\d{1,10}", word) for word in words):
        raise UserError(f"--seeds: expected how many (5) or which (0,3,7), got {text!r}")
    numbers = [int(word) for word in words]
    return check_seeds(numbers if "," in text else numbers[0])


def check_seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """Return the seeds that a number of seeds, or a list of them, stands for, in ascending order.

    Raises:
        UserError: unless it is from 1 to 1000 or a list of different numbers from 0.
    """
    listed = tuple(range(min(seeds, 1001))) if isinstance(seeds, int) else tuple(sorted(seeds))
    if not 1 <= len(set(listed)) == len(listed) <= 1000 or listed[0] < 0:
        raise UserError(f"--seeds: expected how many, from 1 to 1000, or a list of different seeds, got {seeds}")
    return listed


def difference(ours: Config, theirs: Mapping[str, Any]) -> str:
    """Say in which setting a run that exists differs from the one asked for; empty where in none.

    Args:
        ours: the request.
        theirs: the content of the run's `config.json`.
    """
    asked = ours.to_json()
    written = {**theirs, "data": (theirs.get("data") or {}).get("name")}
    for name in ("space", "method", "data", "seed", "kind"):
        if asked[name] != written.get(name):
            return f"{name} {written.get(name)!r} instead of {asked[name]!r}"
    settings = written.get("settings") or {}
    for name, value in asked["settings"].items():
        if settings.get(name) != value:
            return f"{name}={settings.get(name)} instead of {value}"
    return ""
