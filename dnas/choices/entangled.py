"""Weight entanglement: options that are slices of one array, mixed before the one product that they are used in.

TangleNAS (Sukthanker et al., *Weight-Entanglement Meets Gradient-Based Neural Architecture Search*, arXiv:2312.10440,
section 3). A layer that is linear in its weights mixes its options by mixing their weights, each padded with zeros to
the largest, which is the largest times the weighted sum of masks. Widths are the first channels, windows the middle, as
in `dnas.nn.entangled`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dnas.choices.context import Decision, decide
from dnas.choices.mixing import dense
from dnas.errors import UserError
from dnas.types import Array

Size = tuple[int, ...]


class Taken(NamedTuple):
    """What a layer takes of an array, along the axes that one decision is about.

    Attributes:
        size: along these axes.
        factor: what the array is multiplied by along them, of shape `size`, float32; `None` leaves it as it is.
        total: the sum of the options' weights, ().
    """

    size: Size
    factor: Array | None = None
    total: Array | None = None


def take(decision: Decision) -> Taken:
    """Return what is taken for a decision about widths or windows: one option, or all of them mixed."""
    sizes = tuple((width,) for width in decision.widths) or decision.windows
    verdict = decide(decision)
    if isinstance(verdict, int):
        return Taken(sizes[verdict])
    weights = dense(verdict).astype(jnp.float32)
    return Taken(enclosing(sizes), _weighted(masks(sizes, centred=not decision.widths), weights), weights.sum())


def along(widths: Sequence[int], weights: Array) -> Array:
    """Return what the channels of the largest width are multiplied by, `(max(widths),)`, under weights `(K,)`.

    Channel c gets the sum of the weights of all widths above c.
    """
    return _weighted(masks(tuple((width,) for width in widths), centred=False), weights)


def enclosing(sizes: Sequence[Size]) -> Size:
    """Return the smallest size in which all of these lie."""
    return tuple(map(max, zip(*sizes, strict=True)))


def masks(sizes: Sequence[Size], *, centred: bool) -> np.ndarray:
    """Return 1 where each size lies in the one that encloses all, and 0 elsewhere, `(K, *enclosing)`."""
    largest = enclosing(sizes)
    found = np.zeros((len(sizes), *largest), np.float32)
    for mask, size in zip(found, sizes, strict=True):
        mask[places(largest, size, centred=centred)] = 1
    return found


def places(largest: Size, size: Size, *, centred: bool) -> tuple[slice, ...]:
    """Return where a size lies in the largest, along each axis: in the middle, or at the beginning."""
    begins = [(whole - own) // 2 if centred else 0 for whole, own in zip(largest, size, strict=True)]
    return tuple(slice(begin, begin + own) for begin, own in zip(begins, size, strict=True))


def widths_of(layer: str, features: Any) -> tuple[int, ...]:
    """Return the widths that a layer is given: several to choose from, or one.

    Raises:
        UserError: unless they are whole numbers above zero.
    """
    widths = tuple(features) if isinstance(features, tuple | list) else (features,)
    if not widths or not all(_whole(width) for width in widths):
        raise UserError(
            f"{layer}: features is {features!r}, expected a whole number of channels above zero, or several to choose "
            f"from, such as (16, 32)"
        )
    return widths


def windows_of(layer: str, kernel_size: Any) -> tuple[Size, ...]:
    """Return the windows that a layer is given: several to choose from, or one.

    Raises:
        UserError: unless they are tuples of whole numbers above zero, as long as each other, whose differences are even
            along each axis, so that they have one centre.
    """
    given = tuple(kernel_size) if isinstance(kernel_size, tuple | list) else (kernel_size,)
    several = bool(given) and all(isinstance(window, tuple | list) for window in given)
    windows = tuple(map(tuple, given)) if several else (given,)
    sound = all(window and all(_whole(side) for side in window) for window in windows)
    if not sound or len({len(window) for window in windows}) > 1:
        raise UserError(
            f"{layer}: kernel_size is {kernel_size!r}, expected the sides of a window, such as (3, 3), or several "
            f"windows of as many sides to choose from, such as ((3, 3), (5, 5))"
        )
    if any(len({side % 2 for side in axis}) > 1 for axis in zip(*windows, strict=True)):
        raise UserError(
            f"{layer}: the windows {', '.join(map(named, windows))} have no common centre: choose among odd sides "
            f"only, or among even ones"
        )
    return windows


def named(window: Size) -> str:
    """Return the name of a window, such as 3x3."""
    return "x".join(map(str, window))


def _weighted(masks: np.ndarray, weights: Array) -> Array:
    # No matrix product: accelerators compute one with fewer digits, and cost models would count it.
    return sum((weight * mask for weight, mask in zip(weights, masks, strict=True)), start=jnp.zeros((), weights.dtype))


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value > 0)
