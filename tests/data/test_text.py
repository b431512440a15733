"""A text as tokens, and its windows."""

import gzip
import lzma
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.data import text
from dnas.data.text import END, PARTS

POEM = "To be, or not to be —\nthat is the question:\n" * 10


@pytest.fixture
def poem(tmp_path: Path) -> Path:
    path = tmp_path / "poem.txt"
    path.write_text(POEM, encoding="utf-8")
    return path


def decoded(data: text.Text, joint: str = "") -> str:
    return joint.join(data.vocabulary[token] for part in PARTS for token in getattr(data, part))


def test_the_parts_are_the_text_in_order_and_of_the_given_shares(poem: Path) -> None:
    data = text.load(poem, shares=(0.5, 0.3, 0.2))
    assert decoded(data) == POEM
    assert data.vocabulary == tuple(sorted(set(POEM)))
    count = len(POEM)
    assert [len(getattr(data, part)) for part in PARTS] == [count // 2, int(0.8 * count) - count // 2, count // 5]
    assert {getattr(data, part).dtype for part in PARTS} == {np.dtype("int32")}


def test_words_end_each_line(poem: Path) -> None:
    data = text.load(poem, level="words")
    assert decoded(data, " ") == " ".join([f"To be, or not to be — {END} that is the question: {END}"] * 10)


def test_a_limit_keeps_the_beginning(poem: Path) -> None:
    assert decoded(text.load(poem, limit=50)) == POEM[:50]


@pytest.mark.parametrize(("suffix", "compress"), [(".xz", lzma.compress), (".gz", gzip.compress), (".txt", bytes)])
def test_compressed_texts_read_as_plain_ones(tmp_path: Path, poem: Path, suffix: str, compress: Any) -> None:
    path = tmp_path / f"other{suffix}"
    path.write_bytes(compress(POEM.encode()))
    np.testing.assert_array_equal(text.load(path).train, text.load(poem).train)


@pytest.mark.parametrize(("count", "length"), [(1, 1), (3, 4), (4, 7), (5, 19)])
def test_columns_and_windows_give_the_text_back(count: int, length: int) -> None:
    tokens = np.arange(103, dtype=np.int32)
    columns = text.columns("text", tokens, count, length)
    np.testing.assert_array_equal(np.asarray(columns).ravel(), tokens[: 103 // count * count])
    steps = text.windows(columns, length)
    x, y = jax.jit(jax.vmap(lambda index: text.window(columns, index, length)))(jnp.arange(steps))
    assert x.shape == y.shape == (steps, count, length)
    assert x.dtype == y.dtype == jnp.int32
    kept = steps * length
    assert columns.shape[1] - length <= kept < columns.shape[1]
    joined = [np.swapaxes(part, 0, 1).reshape(count, kept) for part in (x, y)]
    np.testing.assert_array_equal(joined[0], columns[:, :kept])
    np.testing.assert_array_equal(joined[1], columns[:, 1 : kept + 1])


BAD = {
    "empty": (b"", ["is empty"]),
    "binary": (b"abc\xff\xfe", ["byte 3 is not UTF-8", "convert"]),
    "one character": (b"a" * 100, ["at least 2 different characters, got 1"]),
    "short": (b"abcdefg", ["7 characters leave 0 for valid", "longer text"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_text_is_one_sentence(sentence: Any, tmp_path: Path, case: str) -> None:
    content, words = BAD[case]
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with sentence(str(path), *words):
        text.load(path)


def test_a_bad_file_is_one_sentence(sentence: Any, tmp_path: Path) -> None:
    with sentence("no such file", "check the path"):
        text.load(tmp_path / "none.txt")
    with sentence("cannot be read"):
        text.load(tmp_path)
    for suffix, compress in ((".xz", lzma.compress), (".gz", gzip.compress)):
        path = tmp_path / f"bad{suffix}"
        whole = compress(POEM.encode())
        for content in (b"plain", whole[:-9], whole[:20] + b"?" + whole[21:]):
            path.write_bytes(content)
            with sentence("cannot be read", "get it again"):
                text.load(path)


def test_a_bad_argument_is_one_sentence(sentence: Any, poem: Path) -> None:
    for shares in ((0.5, 0.5), (1.0, 0.0, 0.0), (0.5, 0.4, 0.3)):
        with sentence("shares of train, valid, test", list(shares)):
            text.load(poem, shares=shares)
    with sentence("limit of tokens", "-1"):
        text.load(poem, limit=-1)
    with sentence("unknown level 'word'", "did you mean 'words'"):
        text.load(poem, level="word")
    with sentence("the test part", "9 tokens", "2 columns", "takes 10", "shorter window"):
        text.columns("the test part", np.zeros(9, np.int32), 2, 4)
    with sentence("at least 1 column", "0"):
        text.columns("text", np.zeros(9, np.int32), 0, 4)
