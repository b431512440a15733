"""One colour for each family of operations, the same in the cells and in the curves; all read on white and on black."""

from collections.abc import Sequence

FAMILIES = {
    "separable": "#3b7dd8",
    "dilated": "#9a5fd0",
    "convolution": "#1795a5",
    "pool": "#2c9a68",
    "skip": "#dd7f14",
    "none": "#8590a0",
    "other": "#b0637e",
}
DASHES = ((), (5, 2.5), (1.5, 1.5), (7, 2, 1.5, 2))
"""Stroke patterns that tell operations of one family apart; the first is a solid line."""
MARKS = (
    ("none", ("none", "zero")),
    ("skip", ("skip", "identity")),
    ("pool", ("pool",)),
    ("dilated", ("dil",)),
    ("separable", ("sep",)),
    ("convolution", ("conv",)),
)
"""What in an operation's name says its family, the first match counting."""


def family(op: str) -> str:
    """Return the family of an operation by its name, such as "separable" for "sep_conv_3x3"."""
    return next((name for name, marks in MARKS if any(mark in op.lower() for mark in marks)), "other")


def strokes(ops: Sequence[str]) -> list[tuple[str, tuple[float, ...]]]:
    """Return a `(colour, dashes)` for each operation: colour by family, dashes by place within the family."""
    families = [family(op) for op in ops]
    return [(FAMILIES[name], DASHES[families[:i].count(name) % len(DASHES)]) for i, name in enumerate(families)]
