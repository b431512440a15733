"""Every hyper-parameter by name: found from signatures, changed by `name=value`, checked against its type."""

import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from dnas.errors import UserError, unknown


class Setting(NamedTuple):
    """One hyper-parameter: its type, its default and one line of help."""

    kind: Any
    default: Any
    help: str


Table = Mapping[str, Setting]
"""Settings by dotted name, such as `search.weight_lr`."""


def from_signature(prefix: str, factory: Callable[..., Any], without: Iterable[str] = ()) -> dict[str, Setting]:
    """Return the keyword arguments of `factory` that have defaults as settings called `prefix.argument`.

    Help is taken from the lines `argument: ...` of its docstring's sections `Args` and `Attributes`.
    """
    hints = typing.get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    words = _help(inspect.getdoc(factory) or "")
    table = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        if name not in without and parameter.default is not inspect.Parameter.empty:
            table[f"{prefix}.{name}"] = Setting(hints[name], parameter.default, words.get(name, ""))
    return table


def resolve(table: Table, *layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every setting: its default, overridden by each layer in turn.

    Raises:
        UserError: for a name that is not in the table (the nearest is suggested) or a value of another type.
    """
    values = {name: setting.default for name, setting in table.items()}
    for layer in layers:
        for name, value in layer.items():
            if name not in table:
                raise unknown("setting", name, table)
            values[name] = _checked(name, value, table[name].kind)
    return values


def parse(table: Table, assignments: Iterable[str]) -> dict[str, Any]:
    """Read `name=value` words; a tuple's items are separated by commas.

    Raises:
        UserError: for a word without `=`, an unknown name, or a value that does not read as the setting's type.
    """
    values = {}
    for word in assignments:
        name, equals, text = word.partition("=")
        if not equals:
            raise UserError(f"setting {word!r}: expected NAME=VALUE, for example search.epochs=10")
        if name not in table:
            raise unknown("setting", name, table)
        values[name] = _read(name, text, table[name].kind)
    return values


def group(values: Mapping[str, Any], prefix: str, only: Callable[..., Any] | None = None) -> dict[str, Any]:
    """Return the settings called `prefix.argument` by argument; with `only`, those that this factory takes."""
    chosen = {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{prefix}.")}
    if only is None:
        return chosen
    accepted = inspect.signature(only).parameters
    return {name: value for name, value in chosen.items() if name in accepted}


def kind_name(kind: Any) -> str:
    """Return a type as a user writes and reads it."""
    options = [option for option in _options(kind) if option is not type(None)]
    word = f"{_item(options[0])},{_item(options[0])},..." if _item(options[0]) else options[0].__name__
    return f"{word} or 'none'" if len(options) < len(_options(kind)) else word


def _options(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in (types.UnionType, typing.Union) else (kind,)


def _item(kind: Any) -> str:
    """Return what the items of a tuple are called; nothing for other types."""
    if typing.get_origin(kind) is not tuple:
        return ""
    item = typing.get_args(kind)[0]
    return "word" if item is str else str(item.__name__)


def _read(name: str, text: str, kind: Any) -> Any:
    options = _options(kind)
    if type(None) in options and text.lower() == "none":
        return None
    option = next(option for option in options if option is not type(None))
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        if option is bool:
            return words[text.lower()]
        if typing.get_origin(option) is tuple:
            item = typing.get_args(option)[0]
            return tuple(item(word.strip()) for word in text.split(",") if word.strip())
        return _checked(name, option(text), kind)
    except (ValueError, KeyError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"setting {name}: expected {_article(kind_name(kind))}, got {text!r}") from None


def _checked(name: str, value: Any, kind: Any) -> Any:
    for option in _options(kind):
        if option is float and isinstance(value, int | float) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise UserError(f"setting {name}: expected a finite number, got {value}")
            return float(value)
        if typing.get_origin(option) is tuple and isinstance(value, list | tuple):
            return tuple(value)
        if isinstance(option, type) and isinstance(value, option) and not (option is int and isinstance(value, bool)):
            return value
    raise UserError(f"setting {name}: expected {_article(kind_name(kind))}, got {value!r}")


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _help(doc: str) -> dict[str, str]:
    words: dict[str, str] = {}
    current = ""
    for line in doc.split("\n"):
        text = line.strip()
        name, colon, rest = text.partition(": ")
        if colon and name.isidentifier() and line.startswith("    "):
            current = name
            words[current] = rest
        elif current and text and line.startswith("        "):
            words[current] += f" {text}"
        elif not text or not line.startswith(" "):
            current = ""
    return words
