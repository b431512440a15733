"""What hands out minibatches one after the other, and can be put back where it stood."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dnas.errors import UserError
from dnas.types import Batch


class Reader(ABC):
    """Minibatches in an order that depends on nothing but the position; it never ends, but begins again."""

    @abstractmethod
    def read(self) -> Batch:
        """Return the next minibatch; `UserError` if there is none at all."""

    @abstractmethod
    def mark(self) -> Any:
        """Return the position, a pytree of arrays whose shapes never change."""

    @abstractmethod
    def seek(self, mark: Any) -> None:
        """Go on from a position that `mark` returned, in this process or in another."""

    @abstractmethod
    def at_end(self) -> bool:
        """Return whether the data have been read to their end and the next `read` would begin them again."""


class Streams(NamedTuple):
    """Data that come in minibatches of their own, each part as a function that opens it at its beginning.

    `dnas.data.iterators` and `dnas.data.grain` make one.

    Attributes:
        kind: what they come from, for messages.
        train: minibatches for the weights.
        valid: minibatches for the architecture parameters.
        test: minibatches for the last test; `None` where there are none.
        steps: steps that count as an epoch.
        valid_steps: minibatches of validation or test data that make an evaluation; `None`: all until their end.
    """

    kind: str
    train: Callable[[], Reader]
    valid: Callable[[], Reader]
    test: Callable[[], Reader] | None
    steps: int
    valid_steps: int | None


def as_batch(item: Any, what: str) -> Batch:
    """Return a minibatch that was given as a `Batch`, a pair `(x, y)` or a mapping with `x` and `y`.

    Raises:
        UserError: if it is none of these.
    """
    if isinstance(item, Batch):
        return item
    if isinstance(item, Mapping) and {"x", "y"} == set(item):
        return Batch(item["x"], item["y"])
    if isinstance(item, tuple | list) and len(item) == 2:
        return Batch(*item)
    raise UserError(
        f"{what} gave a {type(item).__name__}, expected a minibatch: let it give pairs (x, y), mappings with 'x' and "
        f"'y', or dnas.Batch values"
    )


def ends_at_once(what: str) -> UserError:
    """Return the error for data of which there is not one minibatch."""
    return UserError(f"{what} ended before its first minibatch: let it give at least one each time it is opened")


def check_steps(steps: int, valid_steps: int | None) -> None:
    """Raise `UserError` unless both are at least 1."""
    for name, value in (("steps", steps), ("valid_steps", valid_steps)):
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}, but it counts minibatches: choose 1 or more")
