"""Data as plain Python iterators of minibatches."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from dnas.data.reader import Reader, Streams, as_batch, check_steps, ends_at_once
from dnas.errors import UserError
from dnas.types import Batch

Opener = Callable[[], Iterable[Any]]
"""`() -> minibatches`, the same ones in the same order each time."""


def iterators(
    train: Opener, valid: Opener, test: Opener | None = None, *, steps: int, valid_steps: int | None = None
) -> Streams:
    """Return data that are iterators of minibatches: pairs `(x, y)`, mappings with `x` and `y`, or `Batch` values.

    Each part is given as a function that opens it anew, since an iterator can neither be put back nor be saved. One
    that ends is opened again; shuffle by an epoch of your own, in one iterator without end, for another order each
    time. Resuming an interrupted search replays a part from where it was last opened, so that it costs what reading
    those minibatches once more costs; a Grain pipeline (`dnas.data.grain`) is resumed at once.

    Args:
        train: minibatches for the weights, all of one structure and shapes (leave out a smaller rest).
        valid: minibatches for the architecture parameters, likewise.
        test: minibatches for the last test; these may be of any sizes.
        steps: steps that count as an epoch.
        valid_steps: minibatches of validation or test data that make an evaluation; `None`: all until their end, which
            must then come.

    Raises:
        UserError: if a part is no function, or a number less than 1.
    """
    check_steps(steps, valid_steps)
    parts = {"train": train, "valid": valid, **({} if test is None else {"test": test})}
    for name, opener in parts.items():
        if not callable(opener):
            raise UserError(
                f"iterators: {name} is a {type(opener).__name__}, expected a function that opens the data anew: write "
                f"lambda: and what makes it"
            )
    openers = {name: partial(_Replayed, opener, name) for name, opener in parts.items()}
    return Streams("iterators", openers["train"], openers["valid"], openers.get("test"), steps, valid_steps)


class _Replayed(Reader):
    """An iterator whose position is how often it was opened before, and how many minibatches have been read since."""

    def __init__(self, opener: Opener, name: str) -> None:
        self._opener, self._what = opener, f"the iterator of {name} data"
        self._passes = self._read = 0
        self._iterator: Iterator[Any] | None = None
        self._next: list[Any] = []

    def read(self) -> Batch:
        if self.at_end():
            self._passes, self._read, self._iterator = self._passes + 1, 0, None
            if self.at_end():
                raise ends_at_once(self._what)
        self._read += 1
        return as_batch(self._next.pop(), self._what)

    def mark(self) -> Any:
        return np.array([self._passes, self._read], np.int32)

    def seek(self, mark: Any) -> None:
        self._passes, self._read = (int(value) for value in mark)
        self._iterator, self._next = None, []

    def at_end(self) -> bool:
        if self._next:
            return False
        if self._iterator is None:
            self._iterator = iter(self._opener())
            for _ in range(self._read):
                if next(self._iterator, self) is self:
                    raise UserError(f"{self._what} is shorter than it was: let it give the same each time it is opened")
        self._next = [item for item in (next(self._iterator, self),) if item is not self]
        return not self._next
