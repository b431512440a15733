"""What a search may ask of its data between two epochs, as compiled programs."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dnas.chunks import DeviceData, Source
from dnas.compiling import compiler_options
from dnas.data.augment import normalise
from dnas.data.sampling import random_batch
from dnas.losses import cross_entropy
from dnas.types import Array, Batch, Batches, Between, PRNGKey, SearchSpace, SearchState, Variables, Weights


class Shown(NamedTuple):
    """The part of the images that belongs to one level.

    Attributes:
        images: images on the device.
        rows: indices of the part.
        source: how it becomes minibatches.
    """

    images: DeviceData
    rows: Array
    source: Source

    def batch(self, chosen: Array) -> Batch:
        """Return the images at positions `chosen` of the part, as they are."""
        rows = self.rows[chosen]
        return Batch(normalise(self.images.x[rows], self.source.mean, self.source.std), self.images.y[rows])


def examination(space: SearchSpace, train: Shown, valid: Shown, key: PRNGKey, *, abreast: int | None = None) -> Between:
    """Return what a search on `space` may ask between two epochs.

    The programs are compiled when they are first used, on one device; the validation images are taken in whole
    minibatches, so that fewer than one minibatch of them is left out.

    Args:
        space: the space.
        train: the images for the weights.
        valid: the images for the architecture parameters.
        key: makes the minibatches of `batches`.
        abreast: how many candidates are evaluated together, under `vmap`; `None`: all, except on CPUs one, where
            that is no faster (experiments/results/bench/candidates.md). The numbers are the same up to rounding.
    """
    most = max(len(group.ops) for group in space.spec.values())
    most = max(most, *(len(node) for group in space.spec.values() for node in group.nodes), 1)
    if abreast is None:
        abreast = 1 if jax.default_backend() == "cpu" else most
    most = math.ceil(most / abreast) * abreast
    program = jax.jit(_examine, static_argnums=(0, 1, 2), compiler_options=compiler_options())

    def scores(state: SearchState, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
        candidates = {name: np.asarray(rows, np.float32) for name, rows in weights.items()}
        count = len(next(iter(candidates.values())))
        accuracies, losses = [], []
        # Always as many candidates, of which only the first are computed: one program for all decisions.
        for first in range(0, count, most):
            part = {name: _filled(rows[first : first + most], most) for name, rows in candidates.items()}
            some = min(most, count - first)
            own = Variables(state.params, state.stats)
            accuracy, loss = program(space.apply, valid.source, abreast, own, part, some, valid.images, valid.rows)
            accuracies.append(np.asarray(accuracy, np.float64)[:some])
            losses.append(np.asarray(loss, np.float64)[:some])
        return np.concatenate(accuracies), np.concatenate(losses)

    def batches(index: int) -> Batches:
        key_train, key_valid = jax.random.split(jax.random.fold_in(key, index))
        own = (
            shown.batch(random_batch(own_key, jnp.int32(0), shown.source.size, shown.source.batch_size))
            for own_key, shown in ((key_train, train), (key_valid, valid))
        )
        return Batches(*own)

    return Between(scores, batches)


def _examine(
    apply: object,
    source: Source,
    abreast: int,
    own: Variables,
    candidates: Weights,
    count: Array,
    images: DeviceData,
    rows: Array,
) -> tuple[Array, Array]:
    """Return accuracy and loss of the first `count` candidates; whatever comes for the others."""
    assert callable(apply)
    shown = Shown(images, rows, source)
    whole = jnp.arange(source.size // source.batch_size * source.batch_size).reshape(-1, source.batch_size)

    def one(mixture: Weights, batch: Batch) -> Array:
        logits, _ = apply(own, mixture, batch.x, train=True)
        hits = jnp.mean(jnp.argmax(logits, axis=-1) == batch.y)
        return jnp.stack([hits, cross_entropy(logits, batch.y)])

    def few(index: Array) -> Array:
        """Return the scores of `abreast` candidates, which see each minibatch together."""
        if abreast == 1:
            mixture = {name: stacked[index] for name, stacked in candidates.items()}
            return lax.map(lambda chosen: one(mixture, shown.batch(chosen)), whole).mean(axis=0)[None]
        mixtures = {
            name: lax.dynamic_slice_in_dim(stacked, index * abreast, abreast) for name, stacked in candidates.items()
        }
        return lax.map(lambda chosen: jax.vmap(one, (0, None))(mixtures, shown.batch(chosen)), whole).mean(axis=0)

    most = len(next(iter(candidates.values())))
    results = jnp.zeros((most // abreast, abreast, 2))
    needed = (count + abreast - 1) // abreast
    results = lax.fori_loop(0, needed, lambda index, found: found.at[index].set(few(index)), results)
    return results.reshape(most, 2)[:, 0], results.reshape(most, 2)[:, 1]


def _filled(rows: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([rows, np.zeros((count - len(rows), *rows.shape[1:]), rows.dtype)])
