"""The user's own image files, one folder a class: `folder:DIR`."""

import hashlib
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas.data.dataset import Dataset, make
from dnas.data.files import expand
from dnas.errors import UserError, reason

EXTENSIONS = (".png", ".jpg", ".jpeg")
LAYOUT = "DIR/CLASS/*.png|jpg, or DIR/train/CLASS/*.png|jpg and DIR/test/CLASS/*.png|jpg"
TEST_SHARE = 0.2
"""Of images that are not divided into training and test images."""

_GREY_MODES = ("1", "L", "LA")
# Pillow turns these into 8 bits by clipping, which would quietly make a bright image white.
_DEEP_MODES = ("I", "F")


class _Header(NamedTuple):
    path: Path
    size: tuple[int, int]
    mode: str


def load(argument: str, data_dir: str | Path | None = None) -> Dataset:
    """Load `train/CLASS/*.png|jpg|jpeg` and `test/CLASS/*` from the folder `argument`, or `CLASS/*`.

    Where there is neither `train` nor `test`, a fifth of each class is for testing, at least one image; which ones
    depends on their names alone. Classes are the names of the folders in `train`, sorted. All images have the same
    size; they have one channel if every image is greyscale and are converted to RGB otherwise. Transparency is dropped
    and the orientation mark of a camera is not applied. Files and folders whose name starts with a dot are ignored.
    Training images are shifted by up to an eighth of the shorter side (at least one pixel) and not mirrored.

    Args:
        argument: path of the folder.
        data_dir: not used; the path stands for itself.

    Raises:
        UserError: if the folder is laid out differently, or an image cannot be read.
    """
    root = expand(argument)
    if not root.is_dir():
        raise UserError(f"there is no folder {str(root)!r}: give one with images, laid out as {LAYOUT}")
    divided = (root / "train").is_dir() or (root / "test").is_dir()
    train, test = (_split(root / "train"), _split(root / "test")) if divided else _divided(_split(root))
    if len(train) < 2:
        place = root / "train" if divided else root
        raise UserError(f"{str(place)!r} has {len(train)} class folders, expected at least two: lay it out as {LAYOUT}")
    extra = sorted(test.keys() - train.keys())
    if extra:
        raise UserError(
            f"{str(root / 'test' / extra[0])!r} is a class that {str(root / 'train')!r} lacks: "
            f"add training images of it or remove it"
        )
    classes = tuple(sorted(train))
    headers = [_header(path) for split in (train, test) for name in classes for path in split.get(name, ())]
    _same_size(headers)
    mode = "L" if all(header.mode in _GREY_MODES for header in headers) else "RGB"
    x_train, y_train = _arrays(train, classes, mode)
    x_test, y_test = _arrays(test, classes, mode)
    return make(f"folder:{argument}", x_train, y_train, x_test, y_test, classes=classes)


def _divided(files: Mapping[str, list[Path]]) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Return the images of each class for training, and those for testing."""
    train, test = {}, {}
    for name, paths in files.items():
        if len(paths) < 2:
            raise UserError(
                f"the class folder {str(paths[0].parent)!r} has one image, but some are for training and some for "
                f"testing: add images, or remove the class"
            )
        # In an order that has nothing to do with how the files are numbered.
        order = sorted(paths, key=lambda path: hashlib.sha256(path.name.encode()).digest())
        count = max(1, round(TEST_SHARE * len(paths)))
        train[name], test[name] = sorted(order[count:]), sorted(order[:count])
    return train, test


def _split(folder: Path) -> dict[str, list[Path]]:
    """Return the image files of each class in `folder`."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {str(folder)!r}: lay the images out as {LAYOUT}")
    files: dict[str, list[Path]] = {}
    for entry in _visible(folder):
        if not entry.is_dir():
            raise UserError(f"{str(entry)!r} is a file, expected class folders only: move it into one or away")
        files[entry.name] = _visible(entry)
        if not files[entry.name]:
            raise UserError(f"the class folder {str(entry)!r} is empty: put images in it or remove it")
    if not files:
        raise UserError(f"{str(folder)!r} has no class folder: lay the images out as {LAYOUT}")
    return files


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise UserError(f"cannot list {str(folder)!r} ({reason(error)}): change its permissions") from None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open one image; whatever Pillow raises for it, then or while it is decoded, becomes a `UserError`."""
    from PIL import Image, UnidentifiedImageError

    damage = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, MemoryError)
    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                yield image
    except bombs as error:
        raise UserError(f"the image {str(path)!r} is far too large ({reason(error)}): scale it down") from None
    except UnidentifiedImageError:
        raise UserError(f"{str(path)!r} is not a PNG or JPEG image: replace or remove it") from None
    except damage as error:
        raise UserError(f"the image {str(path)!r} cannot be read ({reason(error)}): replace or remove it") from None


def _header(path: Path) -> _Header:
    if path.is_dir() or path.suffix.lower() not in EXTENSIONS:
        raise UserError(
            f"{str(path)!r} is not an image (expected {', '.join(EXTENSIONS)}): "
            f"move it away or start its name with a dot"
        )
    with _opened(path) as image:
        header = _Header(path, image.size, image.mode)
    if header.mode.startswith(_DEEP_MODES):
        raise UserError(
            f"the image {str(path)!r} has more than 8 bits a pixel (mode {header.mode}): convert it to 8 bits"
        )
    return header


def _same_size(headers: Sequence[_Header]) -> None:
    first = headers[0]
    for other in headers:
        if other.size != first.size:
            raise UserError(
                f"images differ in size: {str(first.path)!r} is {first.size[0]}x{first.size[1]}, "
                f"{str(other.path)!r} is {other.size[0]}x{other.size[1]}: scale all to the same size"
            )


def _arrays(files: Mapping[str, Sequence[Path]], classes: Sequence[str], mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images in the order of `classes`, and their labels."""
    labelled = [(path, label) for label, name in enumerate(classes) for path in files.get(name, ())]
    x = np.stack([_pixels(path, mode) for path, _ in labelled])
    return x, np.array([label for _, label in labelled], np.int32)


def _pixels(path: Path, mode: str) -> np.ndarray:
    with _opened(path) as image:
        # A palette with transparency converts straight to RGB only with a warning.
        opaque = image.convert("RGBA") if image.mode in ("P", "PA") else image
        return np.asarray(opaque.convert(mode))
