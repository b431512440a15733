"""The user's own arrays in a NumPy archive: `npz:FILE`."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from dnas.data.dataset import Dataset, make
from dnas.data.files import expand
from dnas.errors import UserError, reason

ARRAYS = ("x_train", "y_train", "x_test", "y_test")

# All that NumPy and zipfile raise for bytes that are not what their header says.
_DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, KeyError, MemoryError)


def load(argument: str, data_dir: str | Path | None = None) -> Dataset:
    """Load the arrays `x_train`, `y_train`, `x_test`, `y_test`, and `classes` if it is there, from an `.npz` file.

    Images are `(N, H, W)` or `(N, H, W, C)`: integers in 0..255, booleans, or floats in [0, 1], which are scaled by
    255 and rounded. Labels are integers 0..K-1; `classes` holds K strings. Training images are shifted by up to an
    eighth of the shorter side (at least one pixel) and not mirrored.

    Args:
        argument: path of the file.
        data_dir: not used; the path stands for itself.

    Raises:
        UserError: if the file cannot be read, or its arrays are something else.
    """
    name = f"npz:{argument}"
    what = f"data set {name!r}"
    arrays = _read(expand(argument), what)
    classes = _names(what, arrays["classes"]) if "classes" in arrays else None
    return make(name, *(arrays[key] for key in ARRAYS), classes=classes)


def _read(path: Path, what: str) -> dict[str, np.ndarray]:
    try:
        archive: Any = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{what}: there is no such file, check the path") from None
    except _DAMAGE as error:
        raise UserError(
            f"{what}: not a readable .npz file ({reason(error)}), write it again with numpy.savez"
        ) from None
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise UserError(f"{what}: the file holds a single array, expected {', '.join(ARRAYS)}: use numpy.savez")
    with archive:
        missing = [name for name in ARRAYS if name not in archive.files]
        if missing:
            raise UserError(
                f"{what}: no array named {', '.join(missing)} (it holds {', '.join(archive.files) or 'nothing'}), "
                f"expected {', '.join(ARRAYS)}: save the missing ones too"
            )
        return {name: _array(archive, name, what) for name in (*ARRAYS, "classes") if name in archive.files}


def _array(archive: Any, name: str, what: str) -> np.ndarray:
    try:
        return np.asarray(archive[name])
    except _DAMAGE as error:
        raise UserError(
            f"{what}: array {name} cannot be read ({reason(error)}), save plain arrays again with numpy.savez"
        ) from None


def _names(what: str, classes: np.ndarray) -> tuple[str, ...]:
    if classes.ndim != 1 or classes.dtype.kind != "U":
        raise UserError(
            f"{what}: classes has type {classes.dtype} and shape {classes.shape}, expected (K,) strings: "
            f"save it as a list of names"
        )
    return tuple(classes.tolist())
