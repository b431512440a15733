"""A labelled set of images as a value, and the one place where arrays become one.

Every loader ends in `make`, so that what can be searched on is checked once and complained about in the same words.
"""

import hashlib
from typing import Any, NamedTuple

import numpy as np

from dnas.errors import UserError

_CHUNK = 1024
_CHANNELS_FIRST = (1, 3)
_MOST_CHANNELS = 4


class Augment(NamedTuple):
    """The usual training augmentation of a data set.

    Attributes:
        crop_padding: pixels of black added on every side before a random crop back to the image's size.
        flip: whether images are mirrored left to right, half of the time.
        cutout: side of the square that is set to zero after normalisation, in pixels; 0 turns it off.
    """

    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0


class Dataset(NamedTuple):
    """Images and labels for training and for the final test.

    Attributes:
        name: the data set as a user writes it, such as `npz:FILE`.
        x_train: `(N, H, W, C)` uint8 images.
        y_train: `(N,)` int32 labels, each of 0..K-1 at least once.
        x_test: images as in `x_train`.
        y_test: labels as in `y_train`.
        classes: the K names of the labels.
        mean: for each channel, the mean of `x / 255` over the training images.
        std: for each channel, the standard deviation of the same, or 1 where the channel is constant.
        augment: the usual training augmentation.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: Augment

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.x_train.shape[1:]
        return height, width, channels


def make(
    name: str,
    x_train: Any,
    y_train: Any,
    x_test: Any,
    y_test: Any,
    *,
    classes: tuple[str, ...] | None = None,
    augment: Augment | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> Dataset:
    """Check arrays and return them as a `Dataset`.

    Args:
        name: the data set's name, which starts every error message.
        x_train: `(N, H, W)` or `(N, H, W, C)` images: integers in 0..255, booleans, or floats in [0, 1].
        y_train: `(N,)` integers that take every value of 0..K-1, for at least two classes.
        x_test: images of the same height, width and channels.
        y_test: labels, none of which `y_train` lacks.
        classes: K names; the numbers 0..K-1 if it is `None`.
        augment: `default_augment` if it is `None`.
        mean: computed over the training images if it is `None`.
        std: computed over the training images if it is `None`.

    Raises:
        UserError: if the arrays are anything else.
    """
    x_train, x_test = _images(f"data set {name!r}: x_train", x_train), _images(f"data set {name!r}: x_test", x_test)
    if x_train.shape[1:] != x_test.shape[1:]:
        raise UserError(
            f"data set {name!r}: x_train has images of shape {x_train.shape[1:]}, x_test of {x_test.shape[1:]}: "
            f"give both the same height, width and channels"
        )
    y_train = _labels(f"data set {name!r}", "train", y_train, len(x_train))
    y_test = _labels(f"data set {name!r}", "test", y_test, len(x_test))
    count = _classes(f"data set {name!r}", y_train, y_test)
    classes = tuple(str(label) for label in range(count)) if classes is None else classes
    if len(classes) != count:
        raise UserError(
            f"data set {name!r}: {len(classes)} class names for the {count} labels in y_train: give one name a label"
        )
    computed_mean, computed_std = _moments(x_train) if mean is None or std is None else ((), ())
    return Dataset(
        name=name,
        x_train=x_train,
        y_train=y_train.astype(np.int32),
        x_test=x_test,
        y_test=y_test.astype(np.int32),
        classes=classes,
        mean=computed_mean if mean is None else mean,
        std=computed_std if std is None else std,
        augment=default_augment(x_train.shape[1], x_train.shape[2]) if augment is None else augment,
    )


def default_augment(height: int, width: int) -> Augment:
    """Return a cautious augmentation for images that nothing is known about.

    They are shifted by up to an eighth of the shorter side (at least one pixel) and not mirrored, because a mirrored
    letter or digit is another one.
    """
    side = min(height, width)
    return Augment(crop_padding=min(max(1, side // 8), side - 1))


def fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256, in hexadecimal, of the four arrays: equal for equal data, whatever the name and the place."""
    digest = hashlib.sha256()
    for array in (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test):
        # Bytes alone would not tell 8x2 images from 4x4 ones, and a label's bytes depend on the machine's order.
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def _images(what: str, values: Any) -> np.ndarray:
    """Return `values` as (N, H, W, C) uint8."""
    x = np.asarray(values)
    if x.ndim not in (3, 4):
        raise UserError(f"{what} has shape {x.shape}, expected (N, H, W) or (N, H, W, C): save one image a row")
    if x.size == 0:
        raise UserError(f"{what} is empty (shape {x.shape}): give it at least one image")
    if x.ndim == 4 and x.shape[1] in _CHANNELS_FIRST and x.shape[3] > _MOST_CHANNELS:
        raise UserError(
            f"{what} has shape {x.shape}, which looks like (N, C, H, W), expected (N, H, W, C): "
            f"save it transposed by (0, 2, 3, 1)"
        )
    x = _bytes(what, x)
    return np.ascontiguousarray(x[..., None] if x.ndim == 3 else x)


def _bytes(what: str, x: np.ndarray) -> np.ndarray:
    """Return pixel values as uint8."""
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind == "b":
        return x.astype(np.uint8) * np.uint8(255)
    if x.dtype.kind in "iu":
        if x.min() < 0 or x.max() > 255:
            raise UserError(f"{what} has integers in {x.min()}..{x.max()}, expected 0..255: rescale the pixels")
        return x.astype(np.uint8)
    if x.dtype.kind != "f":
        raise UserError(f"{what} has type {x.dtype}, expected uint8 pixels or floats in [0, 1]: save it as uint8")
    if not np.isfinite(x).all():
        first = int(np.argwhere(~np.isfinite(x))[0][0])
        raise UserError(f"{what} has NaN or infinite pixels, first in image {first}: repair or leave out such images")
    if x.min() < 0 or x.max() > 1:
        raise UserError(
            f"{what} has floats in {x.min():g}..{x.max():g}, expected [0, 1]: rescale the pixels or save them as uint8"
        )
    pixels: np.ndarray = np.rint(x * 255).astype(np.uint8)
    return pixels


def _labels(what: str, split: str, values: Any, images: int) -> np.ndarray:
    """Return `values` as (N,) integers, not yet known to fit int32."""
    y = np.asarray(values)
    if y.ndim != 1:
        raise UserError(f"{what}: y_{split} has shape {y.shape}, expected ({images},): save one label an image")
    if y.dtype.kind not in "iu":
        raise UserError(f"{what}: y_{split} has type {y.dtype}, expected integers: save the labels as int32")
    if len(y) != images:
        raise UserError(
            f"{what}: {images} images in x_{split} but {len(y)} labels in y_{split}: give one label an image"
        )
    if y.min() < 0:
        raise UserError(f"{what}: y_{split} has the negative label {y.min()}: number the classes from 0")
    return y


def _classes(what: str, y_train: np.ndarray, y_test: np.ndarray) -> int:
    """Return the number of classes, once it is known that both splits agree on them."""
    present = np.unique(y_train)
    if len(present) < 2:
        raise UserError(f"{what}: y_train has only one class, label {present[0]}: give images of at least two classes")
    if present[-1] != len(present) - 1:
        missing = int(np.flatnonzero(present != np.arange(len(present)))[0])
        raise UserError(
            f"{what}: y_train has labels up to {present[-1]} but none is {missing}: "
            f"number the {len(present)} classes 0..{len(present) - 1} without gaps"
        )
    if y_test.max() > present[-1]:
        raise UserError(
            f"{what}: y_test has the label {y_test.max()}, which y_train lacks (it has 0..{present[-1]}): "
            f"give training images of every class"
        )
    return len(present)


def _moments(x: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of `x / 255` a channel, from exact integer sums."""
    # A float64 copy of a large data set would take eight times its memory, hence the chunks.
    sums = np.zeros(x.shape[3], np.int64)
    squares = np.zeros(x.shape[3], np.int64)
    for start in range(0, len(x), _CHUNK):
        chunk = x[start : start + _CHUNK].astype(np.int64)
        sums += chunk.sum(axis=(0, 1, 2))
        squares += np.square(chunk).sum(axis=(0, 1, 2))
    pixels = x.size // x.shape[3]
    mean = tuple(total / pixels / 255 for total in sums.tolist())
    variance = [
        (pixels * square - total**2) / (pixels * 255) ** 2
        for total, square in zip(sums.tolist(), squares.tolist(), strict=True)
    ]
    return mean, tuple(value**0.5 if value > 0 else 1.0 for value in variance)
