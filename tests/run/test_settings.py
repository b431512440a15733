"""Settings are found from signatures, and every wrong name or value is one sentence."""

from dataclasses import dataclass

import pytest

from dnas.errors import UserError
from dnas.run import settings


@dataclass(frozen=True)
class Example:
    """An example.

    Attributes:
        epochs: how many passes,
            and more words.
        rate: how fast.
        ops: which.
        flip: whether.
        cutout: side; none takes the default.
    """

    epochs: int = 3
    rate: float = 0.5
    ops: tuple[str, ...] = ("a", "b")
    flip: bool = True
    cutout: int | None = None


TABLE = settings.from_signature("part", Example)


def test_names_types_defaults_and_help_come_from_the_signature() -> None:
    assert list(TABLE) == ["part.epochs", "part.rate", "part.ops", "part.flip", "part.cutout"]
    assert TABLE["part.epochs"] == settings.Setting(int, 3, "how many passes, and more words.")
    assert settings.kind_name(TABLE["part.cutout"].kind) == "int or 'none'"


def test_words_are_read_as_the_type_of_their_setting() -> None:
    words = ["part.epochs=7", "part.rate=1", "part.ops=x, y", "part.flip=no", "part.cutout=none"]
    expected = {"part.epochs": 7, "part.rate": 1.0, "part.ops": ("x", "y"), "part.flip": False, "part.cutout": None}
    read = settings.parse(TABLE, words)
    assert read == expected
    assert type(read["part.rate"]) is float


def test_later_layers_win_and_json_lists_become_tuples() -> None:
    values = settings.resolve(TABLE, {"part.epochs": 5, "part.ops": ["c"]}, {"part.epochs": 6})
    assert values["part.epochs"] == 6
    assert values["part.ops"] == ("c",)
    assert values["part.rate"] == 0.5
    assert settings.group(values, "part", Example) == {
        "epochs": 6,
        "rate": 0.5,
        "ops": ("c",),
        "flip": True,
        "cutout": None,
    }


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("part.epochs", "expected NAME=VALUE"),
        ("part.epoch=3", "did you mean 'part.epochs'"),
        ("part.epochs=many", "expected an int, got 'many'"),
        ("part.epochs=1.5", "expected an int, got '1.5'"),
        ("part.rate=fast", "expected a float"),
        ("part.rate=nan", "expected a finite number"),
        ("part.flip=maybe", "expected a bool"),
        ("part.cutout=big", "expected an int or 'none'"),
    ],
)
def test_a_wrong_word_is_one_sentence(word: str, says: str) -> None:
    with pytest.raises(UserError, match=r".") as caught:
        settings.parse(TABLE, [word])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["7", True, None, 1.5])
def test_a_value_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(UserError, match="expected an int"):
        settings.resolve(TABLE, {"part.epochs": value})
