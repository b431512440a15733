"""Data that lie in device memory: arrays of examples, and a single example that each step takes whole."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.chunks import Drawn, search_chunk, train_chunk
from dnas.data.arrays import Arrays
from dnas.data.sampling import steps_per_epoch
from dnas.data.trees import examples, rows
from dnas.data.whole import Whole, masked
from dnas.errors import UserError
from dnas.finding.supplies import Feeding, Supplies, TrainSupply
from dnas.run.examination import Shown, examination
from dnas.run.supply import Supply
from dnas.types import Array, Batch, PRNGKey

USUAL_BATCH = 64
"""Examples in a minibatch where nothing is said about it."""


class Examples(NamedTuple):
    """How a part of some examples becomes minibatches; a `Drawn` without augmentation."""

    size: int
    batch_size: int

    def batch(self, key: PRNGKey, data: Batch, rows: Array) -> Batch:
        """Gather the examples at `rows`."""
        del key
        return self.plain(data, rows)

    def plain(self, data: Batch, rows: Array) -> Batch:
        """Gather the examples at `rows`."""
        return jax.tree.map(lambda leaf: leaf[rows], data)


class Same(NamedTuple):
    """One of a few examples of the same inputs that each step takes whole: a `Drawn` of as many rows as steps."""

    size: int
    part: int
    batch_size: int = 1

    def batch(self, key: PRNGKey, data: tuple[Any, tuple[Any, ...]], rows: Array) -> Batch:
        """Return the inputs with the part's targets."""
        del key
        return self.plain(data, rows)

    def plain(self, data: tuple[Any, tuple[Any, ...]], rows: Array) -> Batch:
        """Return the inputs with the part's targets."""
        del rows
        return Batch(data[0], data[1][self.part])


def of_arrays(data: Arrays, how: Feeding) -> Supplies:
    """Return what arrays supply; `UserError` if a minibatch is larger than a part, or there is nothing to test on."""
    train, valid = (examples("x", part.x) for part in (data.train, data.valid))
    size = min(USUAL_BATCH, train, valid) if how.batch_size is None else how.batch_size
    if not 1 <= size <= min(train, valid):
        raise UserError(
            f"batch_size is {size}, but there are {train} examples for the weights and {valid} for the architecture: "
            f"choose a size from 1 to {min(train, valid)}"
        )
    if how.with_valid and data.test is None:
        raise UserError(
            "with_valid=True trains on all examples, of which none is left to test on: give the data a test part, or "
            "leave with_valid out"
        )
    both = jax.tree.map(lambda one, two: jnp.asarray(np.concatenate([one, two])), data.train, data.valid)
    places = (jnp.arange(train), train + jnp.arange(valid))
    trained = Examples(train + valid if how.with_valid else train, size)
    example = jax.tree.map(lambda leaf: jnp.zeros((2, *leaf.shape[1:]), leaf.dtype), both.x)
    supplies = _supplies(both, places, (Examples(train, size), Examples(valid, size)), trained, example, how)

    def batches(part: Batch) -> Iterator[Batch]:
        count = examples("x", part.x)
        for first in range(0, count, size):
            yield rows(part, slice(first, first + size))

    given = {"valid": None if how.with_valid else data.valid, "test": data.test}
    parts = {name: (lambda part=part: batches(part)) for name, part in given.items() if part is not None}
    return supplies._replace(parts=parts)


def of_whole(data: Whole, how: Feeding) -> Supplies:
    """Return what a single example supplies; `UserError` for a size of minibatches."""
    if how.batch_size is not None:
        raise UserError(f"batch_size is {how.batch_size}, but each step takes this data whole: leave it out")
    if how.with_valid and data.test is None:
        raise UserError(
            "with_valid=True trains on all targets, of which none is left to test on: give the data a test part, or "
            "leave with_valid out"
        )
    x = jax.tree.map(jnp.asarray, data.x)
    masks = (data.train, data.valid, data.train | data.valid)
    targets = tuple(jax.tree.map(jnp.asarray, masked(data, mask)) for mask in masks)
    sources = (Same(data.steps, 0), Same(data.steps, 1))
    trained = Same(data.steps, 2 if how.with_valid else 0)
    places = (jnp.arange(data.steps), jnp.arange(data.steps))
    supplies = _supplies((x, targets), places, sources, trained, x, how)
    given = {"valid": None if how.with_valid else data.valid, "test": data.test}
    parts = {
        name: (lambda mask=mask: iter([Batch(x, masked(data, mask))]))
        for name, mask in given.items()
        if mask is not None
    }
    return supplies._replace(parts=parts)


def _supplies(
    data: Any, places: tuple[Array, Array], sources: tuple[Drawn, Drawn], trained: Drawn, example: Any, how: Feeding
) -> Supplies:
    """Return supplies whose program draws from `data`, which it gets as an argument."""

    def steps(source: Drawn) -> tuple[int, int]:
        count = steps_per_epoch(source.size, source.batch_size)
        return count, how.length(count, count)

    def train() -> TrainSupply:
        return TrainSupply(
            per_epoch=steps(trained)[0],
            batch_size=trained.batch_size,
            example=example,
            chunk=lambda training: train_chunk(training, trained, *steps(trained)),
            arguments=lambda key: (key, data),
        )

    # An example that is the same in every step is looked at once.
    looked = [source._replace(size=1) if isinstance(source, Same) else source for source in sources]
    shown = [Shown(data, own[: source.size], source) for own, source in zip(places, looked, strict=True)]
    search = Supply(
        per_epoch=steps(sources[0])[0],
        batch_size=sources[0].batch_size,
        example=example,
        chunk=lambda search: search_chunk(search, *sources, *steps(sources[0])),
        arguments=lambda key: (key, data, *places),
        between=lambda space, key: examination(space, shown[0], shown[1], key),
        checkpoint_epochs=how.checkpoint_epochs,
        unit="examples",
    )
    return Supplies(search, train, {})
