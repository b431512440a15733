import numpy as np
from sklearn.datasets import load_digits

from dnas.data import Augment, fingerprint, load
from dnas.data.digits import held_out


def _rows(x, y):
    return sorted((int(label), *np.rint(image).astype(int).ravel()) for image, label in zip(x, y, strict=True))


def test_all_images_are_there_once():
    dataset, source = load("digits"), load_digits()
    assert dataset.image_shape == (8, 8, 1)
    assert len(dataset.classes) == 10
    assert dataset.augment == Augment(crop_padding=1, flip=False, cutout=0)
    got = np.concatenate([dataset.x_train, dataset.x_test])[..., 0].astype(float) * 16 / 255
    labels = np.concatenate([dataset.y_train, dataset.y_test])
    assert len(got) == 1797
    assert _rows(got, labels) == _rows(source.images, source.target)


def test_the_whole_range_of_bytes_is_used():
    x = load("digits").x_train
    assert (x.min(), x.max()) == (0, 255)


def test_a_fifth_of_every_class_is_held_out():
    dataset = load("digits")
    assert len(dataset.x_test) == 364
    train, test = np.bincount(dataset.y_train, minlength=10), np.bincount(dataset.y_test, minlength=10)
    assert (np.abs(test / (train + test) - 0.2) < 0.005).all()


def test_the_split_is_always_the_same():
    assert fingerprint(load("digits")) == fingerprint(load("digits"))


def test_held_out_takes_every_fifth_of_each_class_in_order():
    y = np.array([1, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(np.flatnonzero(held_out(y)), [0, 1, 7, 11])
