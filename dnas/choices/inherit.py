"""What a derived network keeps of a supernet's variables."""

from typing import Any

from flax.traverse_util import unflatten_dict

from dnas.choices.derived import Flat
from dnas.types import Variables


def inherited(whole: Flat, needed: Flat) -> Variables:
    """Return the supernet's variables that a derived network needs, cut to its shapes.

    Where a derived network has a smaller array, it keeps the first entries of each axis, and of a kernel's windows the
    middle, as the entangled layers do.

    Args:
        whole: the supernet's variables by path.
        needed: shapes of those that the derived network needs.
    """
    tree = unflatten_dict({path: _cut(whole[path], leaf.shape) for path, leaf in needed.items()})
    return Variables(tree.get("params", {}), tree.get("stats", {}))


def _cut(array: Any, shape: tuple[int, ...]) -> Any:
    if array.shape == shape:
        return array
    return array[
        tuple(_slice(axis - len(shape), *sizes) for axis, sizes in enumerate(zip(array.shape, shape, strict=True)))
    ]


def _slice(axis: int, size: int, wanted: int) -> slice:
    # The last two axes of a kernel are channels; those before are its windows.
    begin = (size - wanted) // 2 if axis < -2 else 0
    return slice(begin, begin + wanted)
