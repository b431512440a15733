"""How errors are worded."""

import doctest

import pytest

import dnas.errors
from dnas.errors import UserError, reason, unknown


def test_examples_in_the_documentation() -> None:
    assert doctest.testmod(dnas.errors).failed == 0


def test_unknown_words_suggest_the_nearest_only_where_there_is_one() -> None:
    near = unknown("method", "dart", ("pc_darts", "darts", "gdas"))
    assert isinstance(near, UserError)
    assert isinstance(near, ValueError)
    assert str(near) == "unknown method 'dart': did you mean 'darts'? (known: darts, gdas, pc_darts)"
    assert str(unknown("method", "zzz", ("darts", "gdas"))) == "unknown method 'zzz' (known: darts, gdas)"


def test_of_many_words_the_likest_are_listed() -> None:
    many = [f"{letter}{number}" for letter in "abc" for number in range(10)]
    text = str(unknown("word", "b", many))
    assert text.startswith("unknown word 'b': did you mean 'b")
    assert text.endswith(f"(known: a0, a1, {', '.join(many[10:20])} and 18 more)")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file or directory", "x"), "No such file or directory"),
        (ValueError("first line\n  second. Then more."), "first line second"),
        (ValueError("ends here."), "ends here"),
        (EOFError(), "EOFError"),
    ],
)
def test_reasons_are_one_line_without_a_full_stop(error: Exception, text: str) -> None:
    assert reason(error) == text
