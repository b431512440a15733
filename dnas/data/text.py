"""A text file as tokens: read, numbered, divided by position, and cut into windows inside jit.

Windows are those of truncated backpropagation through time as in the code of DARTS (quark0/darts at f276dd3,
`rnn/utils.py` and `rnn/data.py`): the text is laid out in B columns that each continue from window to window, and the
targets are the same text one token later. All windows have T tokens; an incomplete last one is left out.
"""

import gzip
import lzma
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax

from dnas.data.files import expand
from dnas.errors import UserError, reason, unknown
from dnas.types import Array

CHARACTERS, WORDS = "characters", "words"
END = "<eos>"
"""The word at the end of each line."""
PARTS = ("train", "valid", "test")

_OPENERS: dict[str, Callable[..., Any]] = {".xz": lzma.open, ".gz": gzip.open}
_DAMAGE = (OSError, EOFError, lzma.LZMAError, zlib.error)


class Text(NamedTuple):
    """A text as numbers, divided by position: the beginning trains, the end tests.

    Attributes:
        name: the file, as the user wrote it.
        vocabulary: the V different tokens of the whole text; token k is `vocabulary[k]`.
        train: `(N,)` int32 tokens.
        valid: the tokens that follow.
        test: the last ones.
    """

    name: str
    vocabulary: tuple[str, ...]
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def load(
    path: str | Path, *, level: str = CHARACTERS, shares: Sequence[float] = (0.8, 0.1, 0.1), limit: int = 0
) -> Text:
    """Read a text file.

    The vocabulary is that of the whole text, so that no part has an unknown token, as in the code of DARTS.

    Args:
        path: UTF-8 text, plain or compressed (`.xz`, `.gz`).
        level: `characters`, or `words` between white space, with `<eos>` at the end of each line.
        shares: of the tokens for training, validation and test; they add up to 1.
        limit: how many tokens are taken from the beginning; 0 takes all.

    Raises:
        UserError: for a file that cannot be read as text, a text of less than two different tokens or too short to be
            divided, or an argument out of its range.
    """
    if len(shares) != len(PARTS) or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise UserError(
            f"shares of {', '.join(PARTS)}: expected three positive numbers that add up to 1, got {list(shares)}"
        )
    if limit < 0:
        raise UserError(f"limit of tokens: expected 0 (all) or more, got {limit}")
    name = str(path)
    tokens, vocabulary = encode(_read(expand(name), f"text {name!r}"), level)
    tokens = tokens[: limit or None]
    if len(np.unique(tokens)) < 2:
        raise UserError(f"text {name!r}: expected at least 2 different {level}, got {len(np.unique(tokens))}")
    ends = [round(len(tokens) * sum(shares[: index + 1])) for index in range(2)]
    parts = np.split(tokens, ends)
    short = min(range(len(PARTS)), key=lambda index: len(parts[index]))
    if len(parts[short]) < 2:
        raise UserError(
            f"text {name!r}: its {len(tokens)} {level} leave {len(parts[short])} for {PARTS[short]}, expected at least "
            f"2: give a longer text"
        )
    return Text(name, vocabulary, *parts)


def encode(text: str, level: str = CHARACTERS) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return `(N,)` int32 tokens and the vocabulary in sorted order; `UserError` for an unknown level."""
    if level == CHARACTERS:
        codes, tokens = np.unique(np.frombuffer(text.encode("utf-32-le"), "<u4"), return_inverse=True)
        return tokens.astype(np.int32), tuple(map(chr, codes.tolist()))
    if level == WORDS:
        lines = text.removesuffix("\n").split("\n") if text else []
        words = [word for line in lines for word in (*line.split(), END)]
        vocabulary = sorted(set(words))
        number = {word: index for index, word in enumerate(vocabulary)}
        return np.array([number[word] for word in words], np.int32), tuple(vocabulary)
    raise unknown("level", level, (CHARACTERS, WORDS))


def columns(name: str, tokens: np.ndarray, count: int, length: int) -> Array:
    """Lay tokens out in columns of equal length; the few that are left over at the end are dropped.

    Args:
        name: what the tokens are, for an error.
        tokens: `(N,)` tokens.
        count: B, the columns.
        length: T, the tokens of a window.

    Returns:
        `(B, N // B)` int32: row b continues from left to right.

    Raises:
        UserError: if there is no complete window.
    """
    if count < 1 or length < 1:
        raise UserError(f"{name}: expected at least 1 column and 1 token in a window, got {count} and {length}")
    if len(tokens) < count * (length + 1):
        raise UserError(
            f"{name}: {len(tokens)} tokens do not fill {count} columns with a window of {length} tokens and its "
            f"targets, which takes {count * (length + 1)}: give a longer text, or choose fewer columns or a shorter "
            f"window"
        )
    rows = len(tokens) // count
    return jax.numpy.asarray(tokens[: count * rows].reshape(count, rows), jax.numpy.int32)


def windows(columns: Array, length: int) -> int:
    """Return the number of complete windows of `length` tokens in `(B, L)` columns; the last token is a target only."""
    return (columns.shape[1] - 1) // length


def window(columns: Array, index: int | Array, length: int) -> tuple[Array, Array]:
    """Return window `index` of `(B, L)` columns: tokens `(B, T)` and the tokens that follow each, `(B, T)`."""
    both = lax.dynamic_slice_in_dim(columns, index * length, length + 1, axis=1)
    return both[:, :-1], both[:, 1:]


def _read(path: Path, what: str) -> str:
    opener = _OPENERS.get(path.suffix, open)
    try:
        with opener(path, "rb") as handle:
            content = handle.read()
    except FileNotFoundError:
        raise UserError(f"{what}: there is no such file, check the path") from None
    except _DAMAGE as error:
        raise UserError(f"{what}: the file cannot be read ({reason(error)}), check the path or get it again") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{what}: byte {error.start} is not UTF-8, expected a plain text, or one in .xz or .gz: convert the file"
        ) from None
    if not text:
        raise UserError(f"{what}: the file is empty, expected a text")
    return text
