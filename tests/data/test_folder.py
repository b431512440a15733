import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dnas.data import fingerprint, load
from dnas.errors import UserError

CLASSES = ("ant", "bee")


def _save(path: Path, pixels: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)


def _pixels(seed: int, shape: tuple[int, ...] = (6, 5)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two greyscale training images and one test image for each of two classes."""
    for label, name in enumerate(CLASSES):
        _save(tmp_path / "train" / name / "b.png", _pixels(10 * label))
        _save(tmp_path / "train" / name / "a.PNG", _pixels(10 * label + 1))
        _save(tmp_path / "test" / name / "c.png", _pixels(10 * label + 2))
    return tmp_path


def test_greyscale_images_have_one_channel_in_sorted_order(root):
    dataset = load(f"folder:{root}")
    assert dataset.name == f"folder:{root}"
    assert dataset.classes == CLASSES
    assert dataset.image_shape == (6, 5, 1)
    np.testing.assert_array_equal(dataset.x_train[..., 0], [_pixels(seed) for seed in (1, 0, 11, 10)])
    np.testing.assert_array_equal(dataset.y_train, [0, 0, 1, 1])
    np.testing.assert_array_equal(dataset.x_test[..., 0], [_pixels(2), _pixels(12)])
    np.testing.assert_array_equal(dataset.y_test, [0, 1])


def test_the_order_does_not_depend_on_the_file_system(root, monkeypatch):
    expected = fingerprint(load(f"folder:{root}"))
    listed = Path.iterdir
    for order in (False, True):
        monkeypatch.setattr(Path, "iterdir", lambda self, order=order: iter(sorted(listed(self), reverse=order)))
        assert fingerprint(load(f"folder:{root}")) == expected


def test_one_colour_image_makes_all_of_them_rgb(root):
    colour = _pixels(5, (6, 5, 3))
    _save(root / "test" / "bee" / "d.png", colour)
    dataset = load(f"folder:{root}")
    assert dataset.image_shape == (6, 5, 3)
    np.testing.assert_array_equal(dataset.x_test[2], colour)
    np.testing.assert_array_equal(dataset.x_train[0], np.repeat(_pixels(1)[..., None], 3, axis=2))


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("LA", 1), ("P", 3), ("RGBA", 3)])
def test_other_modes_keep_their_pixels(root, mode, channels):
    source = Image.fromarray(_pixels(5, (6, 5, 3))).convert(mode)
    source.save(root / "test" / "bee" / "d.png")
    expected = np.asarray(source.convert("L" if channels == 1 else "RGB")).reshape(6, 5, channels)
    np.testing.assert_array_equal(load(f"folder:{root}").x_test[2], expected)


def test_a_palette_with_transparency_gives_no_warning(root):
    source = Image.fromarray(_pixels(5, (6, 5, 3))).convert("P")
    source.save(root / "test" / "bee" / "d.png", transparency=bytes(range(200)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(load(f"folder:{root}").x_test[2], source.convert("RGB"))


def test_jpeg_is_read(root):
    _save(root / "test" / "bee" / "d.jpg", np.full((6, 5), 90, np.uint8))
    _save(root / "test" / "bee" / "e.JPEG", np.full((6, 5), 90, np.uint8))
    assert (np.abs(load(f"folder:{root}").x_test[2:].astype(int) - 90) <= 2).all()


def test_a_class_may_have_no_test_folder(root):
    (root / "test" / "bee" / "c.png").unlink()
    (root / "test" / "bee").rmdir()
    np.testing.assert_array_equal(load(f"folder:{root}").y_test, [0])


def test_images_that_are_not_divided_are_divided_by_their_names_alone(tmp_path):
    for name, count in (("ant", 11), ("bee", 2)):
        for number in range(count):
            (tmp_path / name).mkdir(exist_ok=True)
            _save(tmp_path / name / f"{number:03d}.png", _pixels(10 * number + len(name)))
    dataset = load(f"folder:{tmp_path}")
    assert dataset.classes == ("ant", "bee")
    assert [list(np.bincount(y)) for y in (dataset.y_train, dataset.y_test)] == [[9, 1], [2, 1]]
    # A further image moves none of the others to the other part but by the greater number of test images.
    _save(tmp_path / "ant" / "more.png", _pixels(999))
    again = load(f"folder:{tmp_path}")
    held = {x.tobytes() for x in dataset.x_test}
    assert len(held & {x.tobytes() for x in again.x_test}) >= len(held) - 1
    (tmp_path / "bee" / "000.png").unlink()
    with pytest.raises(UserError, match="one image"):
        load(f"folder:{tmp_path}")


def test_hidden_files_and_folders_are_ignored(root):
    (root / "train" / ".cache").mkdir()
    (root / "train" / ".DS_Store").write_bytes(b"x")
    (root / "train" / "ant" / ".thumb.png").write_bytes(b"x")
    assert len(load(f"folder:{root}").x_train) == 4


def _png_bomb(side: int) -> bytes:
    """A PNG whose header claims side x side pixels."""
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))  # noqa: E731
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def _remove_tree(folder: Path) -> None:
    for file in sorted(folder.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    folder.rmdir()


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def _deep(path: Path) -> None:
    Image.fromarray(np.full((6, 5), 40_000, np.uint16)).save(path)


BAD = {
    "no train": (lambda r: _remove_tree(r / "train"), ["no folder", "/train'", "DIR/train/CLASS"]),
    "nothing there": (_remove_tree, ["there is no folder", "DIR/CLASS"]),
    "no test": (lambda r: _remove_tree(r / "test"), ["no folder", "/test'", "DIR/test/CLASS"]),
    "no class": (lambda r: [_remove_tree(r / "train" / c) for c in CLASSES], ["/train' has no class folder"]),
    "one class": (lambda r: _remove_tree(r / "train" / "bee"), ["1 class folders", "at least two"]),
    "empty class": (lambda r: _empty(r / "train" / "bee"), ["/train/bee' is empty", "put images in it"]),
    "empty test class": (lambda r: _empty(r / "test" / "ant"), ["/test/ant' is empty"]),
    "class only in test": (lambda r: _save(r / "test" / "cow" / "a.png", _pixels(1)), ["/test/cow'", "lacks"]),
    "file among classes": (
        lambda r: (r / "train" / "labels.csv").write_text("x"),
        ["labels.csv'", "class folders only"],
    ),
    "no image": (lambda r: (r / "train" / "ant" / "notes.txt").write_text("x"), ["notes.txt'", "move it away"]),
    "folder among images": (lambda r: (r / "train" / "ant" / "x.png").mkdir(), ["x.png'", "not an image"]),
    "other size": (
        lambda r: _save(r / "test" / "bee" / "z.png", _pixels(1, (5, 6))),
        ["a.PNG' is 5x6", "z.png' is 6x5"],
    ),
    "text as image": (lambda r: (r / "train" / "ant" / "b.png").write_text("x"), ["ant/b.png'", "replace or remove"]),
    "truncated": (lambda r: _cut(r / "train" / "ant" / "b.png"), ["ant/b.png' cannot be read", "replace or remove"]),
    "16 bits": (lambda r: _deep(r / "test" / "ant" / "c.png"), ["ant/c.png'", "8 bits", "convert"]),
    "bomb": (lambda r: (r / "train" / "bee" / "a.PNG").write_bytes(_png_bomb(60_000)), ["a.PNG'", "far too large"]),
    "large": (lambda r: (r / "train" / "ant" / "a.PNG").write_bytes(_png_bomb(10_000)), ["a.PNG'", "far too large"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_folder_is_one_sentence(sentence, root, case):
    change, words = BAD[case]
    change(root)
    with sentence(root, *words):
        load(f"folder:{root}")


def test_a_missing_folder_is_one_sentence(sentence, tmp_path):
    with sentence(tmp_path / "none", "no folder"):
        load(f"folder:{tmp_path / 'none'}")


@pytest.mark.parametrize("name", ["d.png", "d.jpg"])
def test_every_cut_of_an_image_is_one_sentence_or_harmless(sentence, root, name):
    path = root / "test" / "bee" / name
    _save(path, _pixels(3))
    whole = path.read_bytes()
    # The last bytes only mark the end, and a decoder may do without them.
    for length in range(0, len(whole) - 16, 11):
        path.write_bytes(whole[:length])
        with sentence(path, "replace or remove"):
            load(f"folder:{root}")
