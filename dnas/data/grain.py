"""Data as Grain pipelines, whose positions go into the checkpoints."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from dnas.data.reader import Reader, Streams, as_batch, check_steps, ends_at_once
from dnas.errors import UserError
from dnas.types import Batch

_PAGE = 4096
_SLACK = 8
_THREADS, _AHEAD = 8, 16


def grain(train: Any, valid: Any, test: Any = None, *, steps: int, valid_steps: int | None = None) -> Streams:
    """Return data that are Grain pipelines of minibatches: `grain.MapDataset`, `IterDataset` or `DataLoader`.

    Their elements are pairs `(x, y)`, mappings with `x` and `y`, or `Batch` values, already in minibatches
    (`.batch(...)`). A checkpoint holds each pipeline's own state, so that an interrupted search goes on with the
    minibatch at which it stopped without reading those before again. A pipeline that ends is begun again as it is; for
    another order each time, let it `.shuffle(...)` and then `.repeat()`. A `MapDataset` is read 16 minibatches ahead by
    8 threads (Grain itself would read 500 of its elements, which here are minibatches); for other numbers, give what
    its `to_iter_dataset(grain.ReadOptions(...))` returns.

    Args:
        train: minibatches for the weights, all of one structure and shapes (`drop_remainder=True`).
        valid: minibatches for the architecture parameters, likewise; it must end, or `valid_steps` be given.
        test: minibatches for the last test; these may be of any sizes.
        steps: steps that count as an epoch.
        valid_steps: minibatches of validation or test data that make an evaluation; `None`: all until their end.

    Raises:
        UserError: if a part's iterator has no state that can be saved, or a number is less than 1.
    """
    check_steps(steps, valid_steps)
    parts = {"train": train, "valid": valid, **({} if test is None else {"test": test})}
    for name, pipeline in parts.items():
        if not hasattr(pipeline, "__iter__") or not hasattr(iter(pipeline), "set_state"):
            raise UserError(
                f"grain: {name} is a {type(pipeline).__name__}, expected a Grain data set or loader: give one, or use "
                f"dnas.data.iterators"
            )
    openers = {name: partial(_Pipeline, pipeline, name) for name, pipeline in parts.items()}
    return Streams("grain", openers["train"], openers["valid"], openers.get("test"), steps, valid_steps)


class _Pipeline(Reader):
    """A Grain iterator; the position is its state after the last minibatch read, as JSON in an array of fixed size."""

    def __init__(self, pipeline: Any, name: str) -> None:
        self._pipeline, self._what = _a_little_ahead(pipeline), f"the Grain pipeline of {name} data"
        self._iterator: Iterator[Any] = iter(self._pipeline)
        self._next: list[Any] = []
        self._state = self._present()
        # States grow a little on their way, by digits and by what a shuffle or a mixture keeps.
        self._room = -(-_SLACK * len(self._state) // _PAGE) * _PAGE

    def read(self) -> Batch:
        if self.at_end():
            self._iterator = iter(self._pipeline)
            if self.at_end():
                raise ends_at_once(self._what)
        self._state = self._present()
        return as_batch(self._next.pop(), self._what)

    def mark(self) -> Any:
        if len(self._state) > self._room:
            raise UserError(
                f"{self._what} has a state of {len(self._state)} bytes, expected at most {self._room}: keep less in "
                f"the pipeline, or use dnas.data.iterators"
            )
        return np.frombuffer(self._state.ljust(self._room), np.uint8)

    def seek(self, mark: Any) -> None:
        self._state = bytes(np.asarray(mark, np.uint8)).rstrip()
        state = json.loads(self._state)
        self._iterator, self._next = iter(self._pipeline), []
        set_state = getattr(self._iterator, "set_state")  # noqa: B009
        set_state(state["bytes"].encode() if "bytes" in state else state["tree"])

    def at_end(self) -> bool:
        if not self._next:
            self._next = [item for item in (next(self._iterator, self),) if item is not self]
        return not self._next

    def _present(self) -> bytes:
        state = getattr(self._iterator, "get_state")()  # noqa: B009
        whole = {"bytes": state.decode()} if isinstance(state, bytes) else {"tree": state}
        return json.dumps(whole, default=int).encode()


def _a_little_ahead(pipeline: Any) -> Any:
    """Return the pipeline, and of a `MapDataset` one that reads a few elements ahead; its states are the same."""
    import grain

    if not isinstance(pipeline, grain.MapDataset):
        return pipeline
    return pipeline.to_iter_dataset(grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=_AHEAD))
