"""Data to search and train on.

Images by name, for the command line: `digits`, `cifar10`, and the user's own as `npz:FILE` or `folder:DIR`. Data of any
kind, for `dnas.find`: `arrays`, `whole`, `iterators` and `grain`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from dnas.data import cifar10, digits, folder, npz
from dnas.data.arrays import arrays
from dnas.data.dataset import Augment, Dataset, fingerprint, make
from dnas.data.grain import grain
from dnas.data.iterators import iterators
from dnas.data.whole import whole
from dnas.errors import UserError, unknown

Loader = Callable[[str, str | Path | None], Dataset]
"""`(argument, data_dir) -> Dataset`, where `argument` is what follows the colon of a data set's name."""

LOADERS: Mapping[str, Loader] = MappingProxyType(
    {"digits": digits.load, "cifar10": cifar10.load, "npz:FILE": npz.load, "folder:DIR": folder.load}
)
"""How each kind of data set is loaded; a word after the colon says that an argument is needed, and of what sort."""

NAMES: tuple[str, ...] = tuple(LOADERS)
"""The data sets that `load` knows, as a user writes them."""

__all__ = [
    "LOADERS",
    "NAMES",
    "Augment",
    "Dataset",
    "Loader",
    "arrays",
    "fingerprint",
    "grain",
    "iterators",
    "load",
    "make",
    "whole",
]


def load(spec: str, data_dir: str | Path | None = None) -> Dataset:
    """Load the data set that `spec` names.

    Args:
        spec: one of `NAMES`, with FILE or DIR replaced by a path.
        data_dir: where downloaded data sets lie; `$DNAS_DATA`, then `~/.cache/dnas/data`, if it is `None`.

    Raises:
        UserError: for an unknown name, missing or damaged files, and data that cannot be classified.

    >>> load("digits").image_shape
    (8, 8, 1)
    """
    kind, _, argument = spec.partition(":")
    names = {name.partition(":")[0]: name for name in LOADERS}
    if kind not in names:
        raise unknown("data set", spec, NAMES)
    name = names[kind]
    placeholder = name.partition(":")[2]
    if bool(argument) != bool(placeholder):
        wanted = f"needs a {placeholder} after its name" if placeholder else "takes nothing after its name"
        raise UserError(f"data set {spec!r}: {kind} {wanted}, write {name!r}")
    return LOADERS[name](argument, data_dir)
