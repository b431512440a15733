"""Typed access to the JSON files of a run: what is missing or of another type is said in one sentence."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnas.errors import UserError
from dnas.genotype import Genotype


class Fields:
    """A JSON object and the words that name it in messages.

    Args:
        where: the file, and the line where it has many objects.
        value: what was read.
    """

    def __init__(self, where: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise UserError(f"{where}: expected a JSON object, got {_short(value)}; has the run finished?")
        self.where = where
        self.value = value

    def __contains__(self, name: str) -> bool:
        return self.value.get(name) is not None

    def fields(self, name: str) -> "Fields":
        """Return the object at `name`."""
        return Fields(f"{self.where}: {name!r}", self.value.get(name))

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return the object at `name` as it is; empty where it is absent or null."""
        return self.fields(name).value if name in self else {}

    def items(self, name: str) -> list[Any]:
        """Return the array at `name`; empty where it is absent or null."""
        value = self.value.get(name, [])
        if value is not None and not isinstance(value, list):
            raise self._expected("an array", name)
        return value or []

    def text(self, name: str) -> str:
        """Return the string at `name`; empty where it is absent or null."""
        value = self.value.get(name)
        if value is not None and not isinstance(value, str):
            raise self._expected("a string", name)
        return value or ""

    def number(self, name: str) -> float:
        """Return the finite number at `name`."""
        value = self.maybe(name)
        if value is None or not math.isfinite(value):
            raise self._expected("a finite number", name)
        return value

    def count(self, name: str) -> int:
        """Return the number at `name`, a whole one that is not negative."""
        value = self.number(name)
        if value < 0 or value != int(value):
            raise self._expected("a whole number of at least 0", name)
        return int(value)

    def share(self, name: str) -> float:
        """Return the number at `name`, which lies between 0 and 1."""
        value = self.number(name)
        if not 0 <= value <= 1:
            raise self._expected("a number between 0 and 1", name)
        return value

    def maybe(self, name: str) -> float | None:
        """Return the number at `name`, finite or not; `None` where it is absent or null."""
        value = self.value.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise self._expected("a number", name)
        return value

    def genotype(self, name: str) -> Genotype:
        """Return the genotype at `name`."""
        try:
            return Genotype.from_json(self.value.get(name))
        except UserError as error:
            raise UserError(f"{self.where}: {error}") from None

    def schema(self, expected: str) -> "Fields":
        """Return the object itself where its "schema" is the expected one."""
        if self.value.get("schema") != expected:
            raise self._expected(repr(expected), "schema")
        return self

    def _expected(self, what: str, name: str) -> UserError:
        return UserError(
            f"{self.where}: expected {what} at {name!r}, got {_short(self.value.get(name))}; "
            f"was it written by another version, or changed?"
        )


def read_object(path: Path) -> Fields:
    """Read a file that holds one JSON object; `UserError` where it is missing or is something else."""
    try:
        return Fields(repr(str(path)), json.loads(_read(path)))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{str(path)!r} is not JSON ({error}); has the run finished?") from None


def read_lines(path: Path) -> list[Fields]:
    """Read a file with a JSON object on each line; `UserError` where it is missing or a line is something else."""
    rows = []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        try:
            value = json.loads(line) if line.strip() else None
        except (json.JSONDecodeError, RecursionError) as error:
            raise UserError(f"{str(path)!r} line {number} is not JSON ({error}); has the run finished?") from None
        if line.strip():
            rows.append(Fields(f"{str(path)!r} line {number}", value))
    return rows


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{str(path)!r} is not UTF-8 text; was it changed?") from None
    except OSError as error:
        raise UserError(
            f"cannot read {str(path)!r} ({error.strerror}); expected the directory of a finished run, such as "
            f"runs/NAME: continue an unfinished one with dnas search --resume {path.parent!s}"
        ) from None


def _short(value: Any) -> str:
    text = repr(value)
    return "nothing" if value is None else text if len(text) <= 60 else text[:57] + "..."
