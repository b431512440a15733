"""Programs that run many steps on the device at once: sampling, augmentation and steps under one `lax.scan`.

A chunk is a stretch of steps within one epoch, by default the whole epoch. It reads the data set from device memory,
so that nothing goes to or comes from the host while it runs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, Self

import jax
import jax.numpy as jnp
from jax import lax

from dnas.data.augment import augment, normalise
from dnas.data.dataset import Augment, Dataset
from dnas.data.sampling import epoch_batches, random_batch
from dnas.devices.mesh import ONE, Devices
from dnas.train import TrainInfo, Training
from dnas.types import Array, Batch, Batches, PRNGKey, Search, SearchInfo

Infos = dict[str, Array]
"""Per-step values of a chunk, `(chunk,)` each; steps beyond the end of the epoch hold NaN."""


class DeviceData(NamedTuple):
    """Images in device memory: `(N, H, W, C)` uint8 and their `(N,)` int32 labels."""

    x: Array
    y: Array


class Drawn(Protocol):
    """How a part of some data becomes minibatches; `Source` draws images, and any pytree may be drawn as well."""

    @property
    def size(self) -> int:
        """Examples in the part."""
        ...

    @property
    def batch_size(self) -> int:
        """Examples in a minibatch."""
        ...

    def batch(self, key: PRNGKey, data: Any, rows: Array) -> Batch:
        """Gather the examples at `rows` and augment them, where they are augmented."""
        ...

    def plain(self, data: Any, rows: Array) -> Batch:
        """Gather the examples at `rows` as they are looked at without augmentation."""
        ...

    def _replace(self, *, size: int = ...) -> Self:
        """Return the same of a part with so many examples."""
        ...


class Source(NamedTuple):
    """How a part of a data set becomes minibatches.

    Attributes:
        size: images in the part.
        batch_size: images in a minibatch.
        augment: random augmentation.
        mean: per channel, of pixels divided by 255.
        std: per channel.
        devices: what divides each minibatch.
    """

    size: int
    batch_size: int
    augment: Augment
    mean: tuple[float, ...]
    std: tuple[float, ...]
    devices: Devices = ONE

    def batch(self, key: PRNGKey, data: DeviceData, rows: Array) -> Batch:
        """Gather and augment the images at `rows`."""
        rows = self.devices.share(rows)
        x = augment(key, data.x[rows], self.mean, self.std, **self.augment._asdict())
        return self.devices.divide(Batch(x, data.y[rows]))

    def plain(self, data: DeviceData, rows: Array) -> Batch:
        """Gather and normalise the images at `rows`."""
        return Batch(normalise(data.x[rows], self.mean, self.std), data.y[rows])


class Chunk(NamedTuple):
    """A program that runs the next `length` steps of an epoch.

    Attributes:
        run: `(state, key, data, ...) -> (state, Infos, finite)`; `key` makes all minibatches and augmentations.
        length: steps in a chunk.
        per_epoch: steps in an epoch.
        infos: names of what a step reports, float32 scalars.
        second_order: whether a step differentiates a gradient.
    """

    run: Callable[..., tuple[Any, Infos, Array]]
    length: int
    per_epoch: int
    infos: tuple[str, ...]
    second_order: bool = False


def together(chunk: Chunk) -> Chunk:
    """Return the program that runs several such states at once, stacked along a new first axis; they share `data`."""

    def run(state: Any, key: PRNGKey, data: DeviceData, *own: Array) -> tuple[Any, Infos, Array]:
        return jax.vmap(chunk.run, in_axes=(0, 0, None, *(0 for _ in own)))(state, key, data, *own)

    return chunk._replace(run=run)


def search_chunk(search: Search, train: Drawn, valid: Drawn, per_epoch: int, length: int) -> Chunk:
    """Return the program `(state, key, data, train_rows, valid_rows) -> ...` of a search.

    `train_rows` and `valid_rows` are the indices in `data` of the two parts, of the sizes of `train` and `valid`.
    """

    def run(state: Any, key: PRNGKey, data: Any, train_rows: Array, valid_rows: Array) -> tuple[Any, Infos, Array]:
        key_order, key_valid, key_augment = jax.random.split(key, 3)
        order = _order(key_order, state, train, per_epoch)

        def batches(step: Array, position: Array) -> Batches:
            rows = order[position]
            key_train, key_other = jax.random.split(jax.random.fold_in(key_augment, step))
            other = random_batch(key_valid, step, valid.size, valid.batch_size)
            return Batches(
                train.batch(key_train, data, train_rows[rows]), valid.batch(key_other, data, valid_rows[other])
            )

        return _scan(search.step, batches, state, per_epoch, length, SearchInfo._fields)

    return Chunk(run, length, per_epoch, SearchInfo._fields, search.second_order)


def train_chunk(training: Training, train: Drawn, per_epoch: int, length: int) -> Chunk:
    """Return the program `(state, key, data) -> ...` of a network's training."""

    def run(state: Any, key: PRNGKey, data: Any) -> tuple[Any, Infos, Array]:
        key_order, key_augment = jax.random.split(key)
        order = _order(key_order, state, train, per_epoch)

        def batch(step: Array, position: Array) -> Batch:
            return train.batch(jax.random.fold_in(key_augment, step), data, order[position])

        return _scan(training.step, batch, state, per_epoch, length, TrainInfo._fields)

    return Chunk(run, length, per_epoch, TrainInfo._fields)


def streamed_search(search: Search, per_epoch: int, length: int) -> Chunk:
    """Return the program `(state, batches) -> ...` of a search whose minibatches come from the host.

    `length` minibatches are stacked along the first axis of `batches`; beyond the epoch's end they may be anything.
    """
    run = _streamed(search.step, SearchInfo._fields, per_epoch, length)
    return Chunk(run, length, per_epoch, SearchInfo._fields, search.second_order)


def streamed_training(training: Training, per_epoch: int, length: int) -> Chunk:
    """Return the program `(state, batches) -> ...` of a network's training, as `streamed_search`."""
    return Chunk(_streamed(training.step, TrainInfo._fields, per_epoch, length), length, per_epoch, TrainInfo._fields)


def _streamed(
    step: Callable[..., Any], infos: tuple[str, ...], per_epoch: int, length: int
) -> Callable[[Any, Any], tuple[Any, Infos, Array]]:
    def run(state: Any, batches: Any) -> tuple[Any, Infos, Array]:
        first = state.step % per_epoch

        def batch(step: Array, position: Array) -> Any:
            del step
            return jax.tree.map(lambda leaf: leaf[position - first], batches)

        return _scan(step, batch, state, per_epoch, length, infos)

    return run


def _order(key: PRNGKey, state: Any, source: Drawn, per_epoch: int) -> Array:
    """Return the `(steps, batch_size)` rows of the present epoch's minibatches."""
    return epoch_batches(key, state.step // per_epoch, source.size, source.batch_size)


def _scan(
    step: Callable[..., Any],
    batch: Callable[[Array, Array], Any],
    state: Any,
    per_epoch: int,
    length: int,
    infos: tuple[str, ...],
) -> tuple[Any, Infos, Array]:
    first = state.step % per_epoch

    def take(state: Any, position: Array) -> tuple[Any, Infos]:
        state, info = step(state, batch(state.step, position))
        return state, info._asdict()

    def take_or_rest(state: Any, position: Array) -> tuple[Any, Infos]:
        rest = dict.fromkeys(infos, jnp.float32(jnp.nan))
        return lax.cond(position < per_epoch, take, lambda state, _: (state, rest), state, position)

    state, values = lax.scan(take if per_epoch % length == 0 else take_or_rest, state, first + jnp.arange(length))
    return state, values, all_finite(state)


def all_finite(tree: Any) -> Array:
    """Return whether every floating-point entry of `tree` is finite."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()


def evaluation(
    predict: Callable[[Any, Array], Array], dataset: Dataset, batch_size: int, devices: Devices = ONE
) -> Callable[..., Array]:
    """Return `(state, data) -> number of correct predictions` over all of `data`, whose length is static.

    Args:
        predict: `(state, x) -> logits` for normalised images.
        dataset: gives mean and standard deviation.
        batch_size: images at a time; the last batch is filled up and the filling not counted.
        devices: what divides each batch; their number must divide `batch_size`.
    """

    def correct(state: Any, data: DeviceData) -> Array:
        size = data.y.shape[0]
        steps = -(-size // batch_size)

        def count(rows: Array) -> Array:
            rows = devices.share(rows)
            x = normalise(data.x[rows % size], dataset.mean, dataset.std)
            hits = jnp.argmax(predict(state, x), axis=-1) == data.y[rows % size]
            return jnp.sum(hits & (rows < size))

        return lax.map(count, jnp.arange(steps * batch_size).reshape(steps, batch_size)).sum()

    return correct
