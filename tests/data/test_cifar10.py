import os
from pathlib import Path

import numpy as np
import pytest

from dnas.data import Augment, cifar10, load

RECORDS = 20
FILES = (*(f"data_batch_{number}.bin" for number in (1, 2, 3, 4, 5)), "test_batch.bin")


def _records(seed: int) -> np.ndarray:
    table = np.random.default_rng(seed).integers(0, 256, (RECORDS, cifar10.RECORD_BYTES), dtype=np.uint8)
    table[:, 0] = np.arange(RECORDS) % 10
    return table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / "cifar-10-batches-bin"
    inner.mkdir()
    for seed, name in enumerate(FILES):
        _records(seed).tofile(inner / name)
    return inner


def test_pixels_labels_and_order_are_those_of_the_files(folder):
    dataset = cifar10.read(folder, RECORDS)
    assert dataset.x_train.shape == (5 * RECORDS, 32, 32, 3)
    assert dataset.x_test.shape == (RECORDS, 32, 32, 3)
    rng = np.random.default_rng(9)
    for seed in range(6):
        table = _records(seed)
        x, y = (dataset.x_test, dataset.y_test) if seed == 5 else (dataset.x_train, dataset.y_train)
        start = 0 if seed == 5 else seed * RECORDS
        np.testing.assert_array_equal(y[start : start + RECORDS], table[:, 0])
        for _ in range(50):
            record, row, column, channel = rng.integers((RECORDS, 32, 32, 3))
            byte = table[record, 1 + 1024 * channel + 32 * row + column]
            assert x[start + record, row, column, channel] == byte


def test_the_constants_are_the_published_ones(folder):
    dataset = cifar10.read(folder, RECORDS)
    assert dataset.mean == (0.49139968, 0.48215827, 0.44653124)
    assert dataset.std == (0.24703233, 0.24348505, 0.26158768)
    assert dataset.augment == Augment(crop_padding=4, flip=True, cutout=0)
    assert dataset.classes[0] == "airplane"
    assert len(dataset.classes) == 10


def test_the_folder_may_be_given_itself_or_what_holds_it(folder):
    assert cifar10.find(folder) == folder
    assert cifar10.find(folder.parent) == folder


def test_the_place_is_the_argument_then_the_variable_then_the_home_folder(sentence, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DNAS_DATA", str(tmp_path / "variable"))
    with sentence(tmp_path / "argument" / cifar10.FOLDER / "data_batch_1.bin"):
        load("cifar10", tmp_path / "argument")
    with sentence(tmp_path / "variable" / cifar10.FOLDER / "data_batch_1.bin"):
        load("cifar10")
    monkeypatch.setenv("DNAS_DATA", "")
    with sentence(tmp_path / "home/.cache/dnas/data" / cifar10.FOLDER / "data_batch_1.bin"):
        load("cifar10")


@pytest.mark.parametrize("name", ["data_batch_1.bin", "data_batch_4.bin", "test_batch.bin"])
def test_a_missing_file_is_named(sentence, folder, name):
    (folder / name).unlink()
    with sentence(folder / name, "`dnas data cifar10`", "put the six .bin files"):
        cifar10.read(folder, RECORDS)


@pytest.mark.parametrize("change", [-1, 1, -cifar10.RECORD_BYTES])
def test_a_file_of_another_size_is_named(sentence, folder, change):
    path = folder / "data_batch_3.bin"
    data = path.read_bytes()
    path.write_bytes(data[:change] if change < 0 else data + b"x")
    with sentence(path, f"{len(data) + change:,} bytes", f"expected {len(data):,}", "`dnas data cifar10`"):
        cifar10.read(folder, RECORDS)


def test_full_files_have_ten_thousand_records(sentence, folder):
    with sentence("expected 30,730,000", folder / "data_batch_1.bin"):
        load("cifar10", folder)


def test_a_label_above_nine_is_named(sentence, folder):
    table = _records(0)
    table[13, 0] = 10
    table.tofile(folder / cifar10.TEST_FILE)
    with sentence(folder / cifar10.TEST_FILE, "label 10 in record 13", "0..9", "replace"):
        cifar10.read(folder, RECORDS)


def test_a_folder_in_place_of_a_file_is_one_sentence(sentence, folder):
    (folder / "test_batch.bin").unlink()
    (folder / "test_batch.bin").mkdir()
    with sentence(folder / "test_batch.bin", "`dnas data cifar10`"):
        cifar10.read(folder, RECORDS)


@pytest.mark.skipif("DNAS_DATA" not in os.environ, reason="set $DNAS_DATA to a folder that holds the whole of CIFAR-10")
def test_the_real_images_have_the_published_moments():
    dataset = load("cifar10")
    np.testing.assert_array_equal(np.bincount(dataset.y_train), 5000)
    np.testing.assert_array_equal(np.bincount(dataset.y_test), 1000)
    sample = dataset.x_train[::10] / 255
    np.testing.assert_allclose(sample.mean((0, 1, 2)), dataset.mean, atol=0.01)
    np.testing.assert_allclose(sample.std((0, 1, 2)), dataset.std, atol=0.01)
