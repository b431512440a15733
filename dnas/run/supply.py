"""What a search is supplied with, whatever its data are: a program that feeds its steps, and looks between epochs."""

from collections.abc import Callable
from typing import Any, NamedTuple

from dnas.chunks import Chunk
from dnas.devices import ONE, Devices
from dnas.run.stream import Stream
from dnas.types import Between, PRNGKey, Search, SearchSpace


class Supply(NamedTuple):
    """The data of a search.

    Attributes:
        per_epoch: steps in an epoch.
        batch_size: examples in a minibatch of either level.
        example: an input of which only shapes and types are used.
        chunk: `(search) -> Chunk`, the program that takes steps.
        arguments: `(key) -> what it gets after the state`; the key makes all minibatches.
        between: `(space, key) -> Between`, what may be asked of the data between epochs.
        checkpoint_epochs: epochs between checkpoints.
        devices: what divides the minibatches.
        stream: minibatches from the host, where `arguments` do not hold all data.
        unit: what the examples are called.
        metric: what the task's first metric is called.
    """

    per_epoch: int
    batch_size: int
    example: Any
    chunk: Callable[[Search], Chunk]
    arguments: Callable[[PRNGKey], tuple[Any, ...]]
    between: Callable[[SearchSpace, PRNGKey], Between]
    checkpoint_epochs: int = 1
    devices: Devices = ONE
    stream: Stream | None = None
    unit: str = "images"
    metric: str = "accuracy"
