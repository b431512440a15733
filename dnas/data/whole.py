"""Data as one example that every step takes whole, such as a graph, with masks for its parts."""

from typing import Any, NamedTuple

import numpy as np

from dnas.data.trees import arrays_of
from dnas.errors import UserError
from dnas.tasks import Masked
from dnas.types import Array


class Whole(NamedTuple):
    """One example, and which of its targets belong to which part.

    Attributes:
        x: the inputs, such as a mapping with the features `(N, F)` and the edges `(E, 2)` of a graph.
        y: `(N, ...)` targets.
        train: mask of the targets for the weights, of the shape of `y`.
        valid: mask of those for the architecture parameters.
        test: mask of those for the last test; `None` where there are none.
        steps: steps that count as an epoch.
    """

    x: Any
    y: np.ndarray
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray | None
    steps: int


def whole(
    x: Any,
    y: Array | np.ndarray,
    *,
    train: Any,
    valid: Any,
    test: Any = None,
    steps: int = 10,
) -> Whole:
    """Return data that are a single example: each step computes all of it, and each part counts its own targets.

    A batch is then `Batch(x, Masked(y, mask))`, which the tasks of `dnas.tasks` understand; outputs outside of the mask
    have no influence on a loss.

    Args:
        x: the inputs, any pytree of arrays.
        y: targets, `(N, ...)`; outside of the masks they may be anything, such as -1.
        train: which targets the weights learn from: a boolean mask of the shape of `y`, or the indices of its rows.
        valid: which targets the architecture parameters learn from, likewise; none of those in `train`.
        test: which targets are for the last test, likewise; none of the others.
        steps: steps that count as an epoch, between which the host looks at a search.

    Raises:
        UserError: for masks of another shape, rows that do not exist, an empty part, or parts that overlap.
    """
    if steps < 1:
        raise UserError(f"steps is {steps}, but it counts steps of an epoch: choose 1 or more")
    targets = arrays_of("y", np.asarray(y))
    given = {"train": train, "valid": valid, **({} if test is None else {"test": test})}
    masks = {name: _mask(name, np.asarray(part), targets.shape) for name, part in given.items()}
    names = list(masks)
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            both = int((masks[name] & masks[other]).sum())
            if both:
                raise UserError(f"{both} targets are in both {name} and {other}, expected none: divide them")
    return Whole(arrays_of("x", x), targets, masks["train"], masks["valid"], masks.get("test"), steps)


def masked(data: Whole, mask: np.ndarray) -> Masked:
    """Return the targets of one part."""
    return Masked(data.y, mask)  # type: ignore[arg-type]


def _mask(name: str, part: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if part.dtype != bool and part.dtype.kind in "iu" and part.ndim == 1:
        if part.size and not (part.min() >= 0 and part.max() < shape[0]):
            raise UserError(
                f"{name} has rows {part.min()}..{part.max()} of targets that have {shape[0]}: give rows that exist"
            )
        if len(np.unique(part)) < len(part):
            raise UserError(f"{name} names rows more than once: give each row once, or a mask of type bool")
        mask = np.zeros(shape, bool)
        mask[part] = True
    else:
        mask = part
    if mask.dtype != bool or mask.shape != shape:
        raise UserError(
            f"{name} is of type {part.dtype} and shape {part.shape}, expected a boolean mask of shape {shape} or "
            f"integer rows: give one of these"
        )
    if not mask.any():
        raise UserError(f"{name} is empty, expected at least one target: give some")
    return mask
