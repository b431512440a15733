"""What a derived network keeps of a supernet's variables."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from flax.traverse_util import flatten_dict, unflatten_dict

from dnas.choices.context import Decision
from dnas.choices.entangled import Size, enclosing, places
from dnas.errors import UserError
from dnas.types import Variables

Flat = dict[tuple[Any, ...], Any]
Kept = Mapping[tuple[Any, ...], tuple[slice, ...]]


class Cuts(NamedTuple):
    """What choices leave of arrays.

    Attributes:
        widths: for each chosen width that is smaller than the largest, the largest and the chosen one.
        windows: the chosen and the largest window of kernels, by their paths.
        exact: what is kept of arrays, by their paths, where the model says so itself.
    """

    widths: frozenset[tuple[int, int]]
    windows: Mapping[tuple[str, ...], tuple[Size, Size]]
    exact: Kept = MappingProxyType({})


def cuts_of(met: Iterable[Decision], choices: Mapping[str, int]) -> Cuts:
    """Return what these choices leave, for the decisions as a model's layers ask for them."""
    met = list(met)
    widths = {(max(each.widths), each.widths[choices[each.name]]) for each in met if each.widths}
    windows = {
        ("params", *each.path, "kernel"): (enclosing(each.windows), each.windows[choices[each.name]])
        for each in met
        if each.windows
    }
    return Cuts(frozenset((whole, own) for whole, own in widths if own < whole), windows)


def inherited(whole: Flat, needed: Flat, cuts: Cuts) -> Variables:
    """Return the supernet's variables that a derived network needs, cut to its shapes.

    Of an axis that is as long as a chosen width it keeps the first entries, and of the windows of an entangled kernel
    the middle.

    Args:
        whole: the supernet's variables by path.
        needed: shapes of those that the derived network needs.
        cuts: what the choices leave.

    Raises:
        UserError: for an array of which the choices do not say what is kept.
    """
    return joined({path: whole[path][kept(path, whole[path].shape, leaf.shape, cuts)] for path, leaf in needed.items()})


def kept(path: tuple[Any, ...], whole: Size, own: Size, cuts: Cuts) -> tuple[slice, ...]:
    """Return which entries of a supernet's array a derived network keeps, along each axis.

    Args:
        path: of the array.
        whole: its shape in the supernet.
        own: its shape in the derived network.
        cuts: what the choices leave.

    Raises:
        UserError: if the choices do not say so.
    """
    if path in cuts.exact:
        return cuts.exact[path]
    if len(whole) != len(own):
        raise _unclear(path, whole, own, cuts)
    found = [slice(0, size) for size in own]
    # Where layers are stacked, their axis comes first.
    begin = end = len(whole) - 2
    if path in cuts.windows:
        largest, window = cuts.windows[path]
        begin = end - len(window)
        if begin < 0 or whole[begin:end] != largest or own[begin:end] != window:
            raise _unclear(path, whole, own, cuts)
        found[begin:end] = places(largest, window, centred=True)
    for axis, pair in enumerate(zip(whole, own, strict=True)):
        if pair[0] != pair[1] and pair not in cuts.widths and not begin <= axis < end:
            raise _unclear(path, whole, own, cuts)
    return tuple(found)


def flat(variables: Variables) -> Flat:
    """Return variables by path."""
    return flatten_dict({"params": variables.params, "stats": variables.stats})


def joined(leaves: Flat) -> Variables:
    """Return variables from their leaves by path."""
    tree = unflatten_dict(leaves)
    return Variables(tree.get("params", {}), tree.get("stats", {}))


def _unclear(path: tuple[Any, ...], whole: Size, own: Size, cuts: Cuts) -> UserError:
    widths = ", ".join(f"{own} of {largest}" for largest, own in sorted(cuts.widths)) or "none"
    return UserError(
        f"parameter {'/'.join(map(str, path[1:]))!r} has shape {whole} with all choices open and {own} with them made, "
        f"which follows from none of the chosen widths ({widths}) alone, so that it is open which entries are kept: "
        f"let a layer of fixed width come before what reshapes, joins or groups channels, and stack layers along axis 0"
    )
