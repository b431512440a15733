import io

import numpy as np
import pytest

from dnas.data import load


def test_arrays_are_loaded_as_they_were_saved(tmp_path, arrays):
    np.savez_compressed(tmp_path / "mine.npz", **arrays)
    dataset = load(f"npz:{tmp_path / 'mine.npz'}")
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(dataset, name), array)
    assert dataset.classes == ("0", "1", "2")
    assert dataset.augment.crop_padding == 1
    assert not dataset.augment.flip


def test_class_names_are_taken_from_the_file(tmp_path, arrays):
    np.savez(tmp_path / "mine.npz", **arrays, classes=["ant", "bee", "cat"])
    assert load(f"npz:{tmp_path / 'mine.npz'}").classes == ("ant", "bee", "cat")


def test_a_tilde_stands_for_the_home_folder(tmp_path, arrays, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "mine.npz", **arrays)
    assert load("npz:~/mine.npz").name == "npz:~/mine.npz"


def _saved(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _single(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _damaged(data: bytes) -> bytes:
    middle = len(data) // 3
    return data[:middle] + bytes(255 - byte for byte in data[middle : middle + 40]) + data[middle + 40 :]


FILES = {
    "empty": (lambda a: b"", ["numpy.savez"]),
    "text": (lambda a: b"x_train = ...", ["not a readable .npz file", "numpy.savez"]),
    "truncated": (lambda a: _saved(**a)[:-200], ["not a readable .npz file", "numpy.savez"]),
    "damaged": (lambda a: _damaged(_saved(**a)), ["array x_train cannot be read", "numpy.savez"]),
    "single array": (lambda a: _single(a["x_train"]), ["single array", "numpy.savez"]),
    "pickled array": (lambda a: _single(np.array([{}, None])), ["not a readable .npz file"]),
    "object arrays": (lambda a: _saved(**(a | {"y_train": np.array([{}] * 12)})), ["array y_train cannot be read"]),
    "missing array": (
        lambda a: _saved(x_train=a["x_train"], y=a["y_train"]),
        ["no array named y_train, x_test, y_test"],
    ),
    "no array": (lambda a: _saved(), ["no array named x_train", "nothing"]),
    "bad images": (lambda a: _saved(**(a | {"x_train": a["x_train"][0, 0]})), ["x_train has shape (4, 3)"]),
    "numbers as names": (lambda a: _saved(**a, classes=np.arange(3)), ["classes", "strings"]),
    "too few names": (lambda a: _saved(**a, classes=["a", "b"]), ["2 class names"]),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_one_sentence(sentence, tmp_path, arrays, case):
    content, words = FILES[case]
    path = tmp_path / "mine.npz"
    path.write_bytes(content(arrays))
    with sentence(f"npz:{path}", *words):
        load(f"npz:{path}")


def test_a_missing_file_is_one_sentence(sentence, tmp_path):
    with sentence(f"npz:{tmp_path}/none.npz", "no such file", "check the path"):
        load(f"npz:{tmp_path}/none.npz")


def test_a_folder_is_one_sentence(sentence, tmp_path):
    with sentence(f"npz:{tmp_path}", "not a readable .npz file"):
        load(f"npz:{tmp_path}")


def test_every_cut_of_a_file_is_one_sentence(sentence, tmp_path, arrays):
    path = tmp_path / "mine.npz"
    whole = _saved(**arrays)
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with sentence(path):
            load(f"npz:{path}")
