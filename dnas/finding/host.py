"""Data that the host hands to the device minibatch by minibatch: iterators and Grain pipelines."""

from collections.abc import Iterator
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np

from dnas.chunks import streamed_search, streamed_training
from dnas.compiling import compiler_options
from dnas.data.reader import Reader, Streams
from dnas.errors import UserError
from dnas.finding.supplies import Feeding, Supplies, TrainSupply
from dnas.run.examination import filled, judged, most_candidates, narrow
from dnas.run.stream import Stream
from dnas.run.supply import Supply
from dnas.tasks import batch_weight, task_of
from dnas.types import (
    Array,
    Batch,
    Batches,
    Between,
    Mixture,
    PRNGKey,
    SearchSpace,
    SearchState,
    Variables,
)

USUAL_CHUNK = 16
"""Steps that run on the device at once where nothing is said about it: as many minibatches lie in memory twice."""


def of_streams(data: Streams, how: Feeding) -> Supplies:
    """Return what iterators or pipelines supply; `UserError` for what only arrays can do."""
    if how.batch_size is not None:
        raise UserError(
            f"batch_size is {how.batch_size}, but {data.kind} give minibatches of their own: leave it out and set it "
            f"there"
        )
    if how.with_valid:
        raise UserError(f"with_valid=True cannot join two {data.kind}: leave it out, or give arrays")
    length = how.length(data.steps, USUAL_CHUNK)
    first = data.train().read()
    example = jax.tree.map(lambda leaf: jnp.zeros(np.shape(leaf), np.asarray(leaf).dtype), first.x)
    count = len(jax.tree.leaves(first.y)[0])

    def nothing(key: PRNGKey) -> tuple[()]:
        del key
        return ()

    def train() -> TrainSupply:
        return TrainSupply(
            per_epoch=data.steps,
            batch_size=count,
            example=example,
            chunk=lambda training: streamed_training(training, data.steps, length),
            arguments=nothing,
            stream=Stream(data.train(), length),
        )

    search = Supply(
        per_epoch=data.steps,
        batch_size=count,
        example=example,
        chunk=lambda search: streamed_search(search, data.steps, length),
        arguments=nothing,
        between=lambda space, key: _between(space, data),
        checkpoint_epochs=how.checkpoint_epochs,
        stream=Stream((data.train(), data.valid()), length, lambda drawn: Batches(*drawn)),
        unit="examples",
    )
    given = {"valid": data.valid, "test": data.test}
    parts = {
        name: (lambda opened=opened: _once(opened(), data.valid_steps)) for name, opened in given.items() if opened
    }
    return Supplies(search, train, parts)


def _once(reader: Reader, most: int | None) -> Iterator[Batch]:
    """Yield minibatches until the data end, or `most` of them."""

    def rest() -> Iterator[Batch]:
        while not reader.at_end():
            yield reader.read()

    return islice(rest(), most)


def _first(data: Streams, examples: int | None) -> Iterator[Batch]:
    """Yield the validation minibatches, or as many of the first as have so many examples."""
    seen = 0
    for batch in _once(data.valid(), data.valid_steps):
        yield batch
        seen += len(jax.tree.leaves(batch.y)[0])
        if examples is not None and seen >= examples:
            return


def _between(space: SearchSpace, data: Streams) -> Between:
    """Return what a search may ask between two epochs; each question reads its minibatches anew."""
    most, task = most_candidates(space), task_of(space)

    def examine(own: Variables, candidates: Mixture, count: Array, batch: Batch) -> tuple[Array, Array]:
        """Return what is judged of the first `count` candidates on one minibatch, and how much it counts."""

        def one(index: Array, found: Array) -> Array:
            mixture = jax.tree.map(lambda rows: rows[index], candidates)
            return found.at[index].set(judged(task, space.apply(own, mixture, batch.x, train=True)[0], batch))

        found = jax.lax.fori_loop(0, count, one, jnp.zeros((most, 2)))
        return found, jnp.asarray(batch_weight(task, batch), jnp.float32)

    program = jax.jit(examine, compiler_options=compiler_options())

    def scores(state: SearchState, mixtures: Mixture, images: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        rows = jax.tree.map(narrow, dict(mixtures))
        count, own = len(jax.tree.leaves(rows)[0]), Variables(state.params, state.stats)
        found = []
        for first in range(0, count, most):
            part = jax.tree.map(lambda stacked: filled(stacked[first : first + most], most), rows)  # noqa: B023
            some = min(most, count - first)
            seen = [program(own, part, some, batch) for batch in _first(data, images)]
            values, shares = zip(*jax.device_get(seen), strict=True)
            found.append(np.average(np.array(values, np.float64), axis=0, weights=np.array(shares))[:some])
        whole = np.concatenate(found)
        return whole[:, 0], whole[:, 1]

    readers: list[tuple[int, tuple[Reader, Reader]]] = []

    def batches(index: int) -> Batches:
        # Asked for in order, as searches do, they are each read once.
        place, own = readers.pop() if readers else (0, (data.train(), data.valid()))
        if place > index:
            place, own = 0, (data.train(), data.valid())
        for _ in range(place, index):
            for reader in own:
                reader.read()
        read = [jax.tree.map(jnp.asarray, reader.read()) for reader in own]
        readers.append((index + 1, own))
        return Batches(*read)

    return Between(scores, batches)
