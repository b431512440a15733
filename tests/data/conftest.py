"""What the tests of the data package share."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest

from dnas.errors import UserError

Sentence = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def sentence() -> Sentence:
    """Expect a `UserError` whose message is one sentence that holds all the given words."""

    @contextmanager
    def expect(*words: object) -> Iterator[None]:
        with pytest.raises(UserError) as caught:
            yield
        text = str(caught.value)
        assert "\n" not in text
        assert ". " not in text
        assert not text.endswith(".")
        assert caught.value.__cause__ is None
        for word in words:
            assert str(word) in text, f"no {str(word)!r} in {text!r}"

    return expect


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """Four valid arrays: 12 and 6 random images of 5x4 pixels and 3 channels, in three classes."""
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (12, 5, 4, 3), dtype=np.uint8),
        "y_train": np.arange(12, dtype=np.int64) % 3,
        "x_test": rng.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8),
        "y_test": np.arange(6, dtype=np.int64) % 3,
    }
