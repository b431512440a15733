"""Scikit-learn's handwritten digits: 1,797 real images of 8x8 pixels that need no download."""

from pathlib import Path

import numpy as np

from dnas.data.dataset import Augment, Dataset, make

_LARGEST = 16
_EVERY = 5


def load(argument: str = "", data_dir: str | Path | None = None) -> Dataset:
    """Return the digits in ten classes, one channel.

    The first of every five images of a class, in scikit-learn's order, is a test image: 364 in all. The split depends
    on nothing, so that accuracies of different seeds and releases can be compared.

    Args:
        argument: not used; the data set takes none.
        data_dir: not used; the images come with scikit-learn.
    """
    # Takes a second, which only those who load the digits should wait.
    from sklearn.datasets import load_digits

    source = load_digits()
    x = np.rint(source.images * (255 / _LARGEST)).astype(np.uint8)
    y = source.target
    test = held_out(y)
    return make("digits", x[~test], y[~test], x[test], y[test], augment=Augment(crop_padding=1))


def held_out(y: np.ndarray) -> np.ndarray:
    """Return the `(N,)` boolean mask of test images for `(N,)` labels: one of every five of each class, in order."""
    test = np.zeros(len(y), bool)
    for label in np.unique(y):
        test[np.flatnonzero(y == label)[::_EVERY]] = True
    return test
