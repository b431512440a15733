"""What a decision is called."""

import re

import flax.linen as nn

from dnas.choices.context import Decision
from dnas.errors import UserError

_LEGAL = re.compile(r"[\w.-]+")


def decision_of(layer: nn.Module, given: str | None, options: tuple[str, ...], part: str = "") -> Decision:
    """Return a layer's decision: under the name that the user gave it, or under its place in the model.

    Where a layer has several, `part` is what this one is about, and the end of its name.

    Raises:
        UserError: for fewer than two options, two of one name, or a name that cannot be part of a file's name.
    """
    name = given or ".".join(layer.path) or type(layer).__name__.lower()
    name = f"{name}.{part}" if part else name
    kind = type(layer).__name__
    if not _LEGAL.fullmatch(name):
        raise UserError(f"{kind}: the decision's name is {name!r}: use letters, digits, '_', '-' and '.' only")
    if len(options) < 2:
        raise UserError(f"choice {name!r}: expected at least two options, got {len(options)}: nothing can be chosen")
    if len(set(options)) < len(options):
        raise UserError(f"choice {name!r}: expected options of different names, got {', '.join(options)}")
    return Decision(name, options, given is not None, path=layer.path)
