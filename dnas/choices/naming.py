"""What a decision is called."""

import re

import flax.linen as nn

from dnas.choices.context import Decision
from dnas.errors import UserError

_LEGAL = re.compile(r"[\w.-]+")


def decision_of(layer: nn.Module, given: str | None, options: tuple[str, ...], part: str = "") -> Decision:
    """Return a Linen layer's decision: under the name that the user gave it, or under its place in the model.

    Raises:
        UserError: as `checked`.
    """
    own = checked(type(layer).__name__, given, ".".join(layer.path), options, part)
    return own._replace(path=layer.path)


def checked(kind: str, given: str | None, place: str, options: tuple[str, ...], part: str = "") -> Decision:
    """Return the decision of a layer.

    Args:
        kind: name of the layer's class.
        given: what the user called the decision.
        place: where the layer is in the model, its name where none was given; empty for the model itself.
        options: what may be chosen.
        part: what this decision is about, where a layer has several; the end of its name.

    Raises:
        UserError: for fewer than two options, two of one name, or a name that cannot be part of a file's name.
    """
    name = given or place or kind.lower()
    name = f"{name}.{part}" if part else name
    if not _LEGAL.fullmatch(name):
        raise UserError(f"{kind}: the decision's name is {name!r}: use letters, digits, '_', '-' and '.' only")
    if len(options) < 2:
        raise UserError(f"choice {name!r}: expected at least two options, got {len(options)}: nothing can be chosen")
    if len(set(options)) < len(options):
        raise UserError(f"choice {name!r}: expected options of different names, got {', '.join(options)}")
    return Decision(name, options, given is not None)
