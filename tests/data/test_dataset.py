import numpy as np
import pytest

from dnas.data import Augment, fingerprint, make
from dnas.data.dataset import default_augment


def test_arrays_become_uint8_images_and_int32_labels(arrays):
    dataset = make("mine", **arrays)
    assert dataset.x_train.dtype == np.uint8
    assert dataset.y_train.dtype == dataset.y_test.dtype == np.int32
    assert dataset.image_shape == (5, 4, 3)
    assert dataset.classes == ("0", "1", "2")
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(dataset, name), array)


def test_images_without_channels_get_one(arrays):
    grey = {name: array[..., 0] if name.startswith("x") else array for name, array in arrays.items()}
    dataset = make("mine", **grey)
    assert dataset.image_shape == (5, 4, 1)
    np.testing.assert_array_equal(dataset.x_train[..., 0], grey["x_train"])


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, ">i4"])
def test_integers_keep_their_values(arrays, dtype):
    arrays["x_train"] = (arrays["x_train"] // 2).astype(dtype)
    np.testing.assert_array_equal(make("mine", **arrays).x_train, arrays["x_train"])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_scaled_and_rounded_to_the_nearest(arrays, dtype):
    pixels = arrays["x_train"]
    between = np.clip(pixels + np.where(pixels % 2, 0.3, -0.3), 0, 255)
    arrays["x_train"] = (between / 255).astype(dtype)
    np.testing.assert_array_equal(make("mine", **arrays).x_train, pixels)


def test_booleans_are_black_and_white(arrays):
    arrays["x_train"] = arrays["x_train"] > 99
    np.testing.assert_array_equal(make("mine", **arrays).x_train, np.where(arrays["x_train"], 255, 0))


def test_moments_are_those_of_the_scaled_training_images():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (2500, 3, 4, 2), dtype=np.uint8)  # more than one chunk, and not a whole number of them
    y = np.arange(2500) % 2
    dataset = make("mine", x, y, x[:2] // 2, y[:2])
    np.testing.assert_allclose(dataset.mean, (x / 255).mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(dataset.std, (x / 255).std((0, 1, 2)), rtol=1e-12)


def test_a_constant_channel_has_deviation_one(arrays):
    arrays["x_train"][..., 1] = 77
    dataset = make("mine", **arrays)
    assert dataset.std[1] == 1
    assert 0 < dataset.std[0] < 1
    assert dataset.mean[1] == pytest.approx(77 / 255)


def test_given_moments_classes_and_augmentation_are_kept(arrays):
    augment = Augment(crop_padding=2, flip=True, cutout=3)
    dataset = make("mine", **arrays, classes=("a", "b", "c"), augment=augment, mean=(0, 0, 0), std=(1, 1, 1))
    assert (dataset.classes, dataset.augment) == (("a", "b", "c"), augment)
    assert (dataset.mean, dataset.std) == ((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize(("side", "padding"), [(32, 4), (28, 3), (8, 1), (5, 1), (2, 1), (1, 0)])
def test_the_default_augmentation_shifts_by_an_eighth_of_the_shorter_side(side, padding):
    assert default_augment(side, 100) == default_augment(100, side) == Augment(padding, flip=False, cutout=0)


def test_the_fingerprint_is_that_of_the_data_alone(arrays):
    original = fingerprint(make("mine", **arrays))
    assert original == fingerprint(make("other", **arrays, classes=("a", "b", "c"), augment=Augment()))
    assert len(original) == 64
    for name, array in arrays.items():
        changed = array.copy()
        changed.flat[-1] = (changed.flat[-1] + 1) % 3
        assert fingerprint(make("mine", **(arrays | {name: changed}))) != original


def test_the_fingerprint_sees_the_shape(arrays):
    reshaped = {k: v.reshape(len(v), 4, 5, 3) if k.startswith("x") else v for k, v in arrays.items()}
    assert fingerprint(make("mine", **reshaped)) != fingerprint(make("mine", **arrays))


def _with(array, index, value, dtype=None):
    changed = array.astype(dtype or array.dtype)
    changed[index] = value
    return changed


BAD = {
    "rank of images": ("x_train", lambda x: x[0, 0], ["shape (4, 3)", "(N, H, W) or (N, H, W, C)"]),
    "no images": ("x_test", lambda x: x[:0], ["x_test is empty", "at least one image"]),
    "no pixels": ("x_train", lambda x: x[:, :0], ["x_train is empty"]),
    "channels first": ("x_train", lambda x: np.zeros((12, 3, 5, 8)), ["(N, C, H, W)", "transposed by (0, 2, 3, 1)"]),
    "type of images": ("x_train", lambda x: x.astype(complex), ["complex128", "uint8"]),
    "text as images": ("x_train", lambda x: x.astype(str), ["x_train has type", "uint8"]),
    "NaN": ("x_train", lambda x: _with(x, 7, np.nan, float), ["NaN", "first in image 7"]),
    "infinity": ("x_test", lambda x: _with(x / 255, (5, 0), np.inf), ["x_test", "infinite", "image 5"]),
    "floats up to 255": ("x_train", lambda x: x.astype(float), ["[0, 1]", "rescale"]),
    "negative floats": ("x_train", lambda x: x / 255 - 0.5, ["-0.5", "[0, 1]"]),
    "negative integers": ("x_train", lambda x: x.astype(int) - 1, ["-1..", "0..255"]),
    "large integers": ("x_train", lambda x: x.astype(int) + 255, ["0..255", "rescale"]),
    "shapes differ": ("x_test", lambda x: x[:, :-1], ["(5, 4, 3)", "(4, 4, 3)", "same height"]),
    "channels differ": ("x_test", lambda x: x[..., :1], ["(5, 4, 3)", "(5, 4, 1)"]),
    "rank of labels": ("y_train", lambda y: y[:, None], ["y_train has shape (12, 1)", "expected (12,)"]),
    "float labels": ("y_test", lambda y: y.astype(float), ["y_test has type float64", "int32"]),
    "too few labels": ("y_train", lambda y: y[:-1], ["12 images", "11 labels", "one label an image"]),
    "too many labels": ("y_test", lambda y: np.append(y, 0), ["6 images", "7 labels"]),
    "negative label": ("y_train", lambda y: y - 1, ["negative label -1", "from 0"]),
    "one class": ("y_train", lambda y: y * 0 + 2, ["only one class", "label 2", "at least two"]),
    "labels from one": ("y_train", lambda y: y + 1, ["none is 0", "0..2"]),
    "gap": ("y_train", lambda y: np.where(y == 2, 4, y), ["up to 4", "none is 2", "0..2 without gaps"]),
    "huge label": ("y_train", lambda y: np.where(y == 2, 2**40, y), ["none is 2"]),
    "unknown test label": ("y_test", lambda y: y + 1, ["y_test has the label 3", "0..2"]),
    # 2^32 + 1 would be a valid label after a careless cast to int32.
    "test label that wraps": ("y_test", lambda y: y + 2**32, [f"the label {2**32 + 2}"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_are_one_sentence(sentence, arrays, case):
    name, change, words = BAD[case]
    with sentence("data set 'mine'", *words):
        make("mine", **(arrays | {name: change(arrays[name])}))


def test_class_names_must_be_as_many_as_labels(sentence, arrays):
    with sentence("2 class names", "3 labels"):
        make("mine", **arrays, classes=("a", "b"))
