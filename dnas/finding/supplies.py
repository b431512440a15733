"""Data of one form as everything that finding a network needs of them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from dnas.chunks import Chunk
from dnas.run.stream import Stream
from dnas.run.supply import Supply
from dnas.train import Training
from dnas.types import Batch, PRNGKey


class TrainSupply(NamedTuple):
    """The data of a network's training; the attributes are those of `dnas.run.supply.Supply`."""

    per_epoch: int
    batch_size: int
    example: Any
    chunk: Callable[[Training], Chunk]
    arguments: Callable[[PRNGKey], tuple[Any, ...]]
    stream: Stream | None = None


class Supplies(NamedTuple):
    """Data in the form of each of their uses.

    Attributes:
        search: what a search is supplied with.
        train: `() -> TrainSupply`, at the data's beginning, so that all networks see the same minibatches.
        parts: for each part that a trained network is scored on, `() -> batches`.
    """

    search: Supply
    train: Callable[[], TrainSupply]
    parts: Mapping[str, Callable[[], Iterable[Batch]]]


class Feeding(NamedTuple):
    """How data are fed to a search and to a training.

    Attributes:
        batch_size: examples in a minibatch; `None` leaves it to the data.
        chunk_steps: steps that run on the device at once; `None` leaves it to the data.
        checkpoint_epochs: epochs between checkpoints.
        with_valid: whether networks are trained on the validation examples too.
    """

    batch_size: int | None
    chunk_steps: int | None
    checkpoint_epochs: int
    with_valid: bool

    def length(self, per_epoch: int, usual: int) -> int:
        """Return how many steps run at once, `usual` ones unless told otherwise, and at most an epoch."""
        return min(self.chunk_steps or usual, per_epoch)
