"""What a search may ask of its data between two epochs, as compiled programs."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dnas.chunks import Drawn
from dnas.compiling import compiler_options
from dnas.data.sampling import random_batch
from dnas.tasks import batch_weight, first_metric, scalar_loss, task_of
from dnas.types import Array, Batch, Batches, Between, Mixture, PRNGKey, SearchSpace, SearchState, Task, Variables


class Shown(NamedTuple):
    """The part of the data, usually images, that belongs to one level.

    Attributes:
        images: the data on the device.
        rows: indices of the part.
        source: how it becomes minibatches.
    """

    images: Any
    rows: Array
    source: Drawn

    def batch(self, chosen: Array) -> Batch:
        """Return the images at positions `chosen` of the part, as they are."""
        return self.source.plain(self.images, self.rows[chosen])


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
    most, task = most_candidates(space), task_of(space)
    if abreast is None:
        abreast = 1 if jax.default_backend() == "cpu" else most
    most = math.ceil(most / abreast) * abreast
    program = jax.jit(_examine, static_argnums=(0, 1, 2, 3), compiler_options=compiler_options())

    def scores(state: SearchState, mixtures: Mixture, images: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        candidates = jax.tree.map(narrow, dict(mixtures))
        count = len(jax.tree.leaves(candidates)[0])
        batch = valid.source.batch_size
        rows = valid.rows if images is None else valid.rows[: max(batch, min(images, valid.source.size))]
        source = valid.source._replace(size=len(rows))
        accuracies, losses = [], []
        # Always as many candidates, of which only the first are computed: one program for all decisions.
        for first in range(0, count, most):
            part = jax.tree.map(lambda stacked: filled(stacked[first : first + most], most), candidates)  # noqa: B023
            some = min(most, count - first)
            own = Variables(state.params, state.stats)
            accuracy, loss = program(space.apply, task, source, abreast, own, part, some, valid.images, rows)
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


def most_candidates(space: SearchSpace) -> int:
    """Return how many candidates a decision has at most: the operations of an edge, or the edges of a node."""
    ops = max(len(group.ops) for group in space.spec.values())
    return max(ops, *(len(node) for group in space.spec.values() for node in group.nodes), 1)


def judged(task: Task, outputs: Any, batch: Batch) -> Array:
    """Return `(2,)` the first metric, negated where smaller is better, and the loss."""
    metric = first_metric(task, outputs, batch)
    return jnp.stack([metric if task.larger_is_better else -metric, scalar_loss(task, outputs, batch)])


def _examine(
    apply: object,
    task: Task,
    source: Drawn,
    abreast: int,
    own: Variables,
    candidates: Mixture,
    count: Array,
    images: Any,
    rows: Array,
) -> tuple[Array, Array]:
    """Return what is `judged` of the first `count` candidates, in two arrays; whatever comes for the others."""
    assert callable(apply)
    shown = Shown(images, rows, source)
    whole = jnp.arange(source.size // source.batch_size * source.batch_size).reshape(-1, source.batch_size)

    def one(mixture: Mixture, batch: Batch) -> Array:
        return judged(task, apply(own, mixture, batch.x, train=True)[0], batch)

    def averaged(values: Callable[[Batch], Array]) -> Array:
        """Return the mean of the values over all minibatches, each by its weight."""

        def see(chosen: Array) -> tuple[Array, ...]:
            batch = shown.batch(chosen)
            seen, weight = values(batch), batch_weight(task, batch)
            return (seen,) if isinstance(weight, float) else (seen * weight, weight)

        seen, *weights = lax.map(see, whole)
        return seen.sum(axis=0) / weights[0].sum() if weights else seen.mean(axis=0)

    def few(index: Array) -> Array:
        """Return the scores of `abreast` candidates, which see each minibatch together."""
        if abreast == 1:
            mixture = jax.tree.map(lambda stacked: stacked[index], candidates)
            return averaged(partial(one, mixture))[None]
        mixtures = jax.tree.map(lambda stacked: lax.dynamic_slice_in_dim(stacked, index * abreast, abreast), candidates)
        return averaged(lambda batch: jax.vmap(one, (0, None))(mixtures, batch))

    most = len(jax.tree.leaves(candidates)[0])
    results = jnp.zeros((most // abreast, abreast, 2))
    needed = (count + abreast - 1) // abreast
    results = lax.fori_loop(0, needed, lambda index, found: found.at[index].set(few(index)), results)
    return results.reshape(most, 2)[:, 0], results.reshape(most, 2)[:, 1]


def narrow(values: np.ndarray) -> np.ndarray:
    """Return weights as float32, and indices as they are."""
    own = np.asarray(values)
    return own if own.dtype.kind in "iu" else own.astype(np.float32)


def filled(rows: np.ndarray, count: int) -> np.ndarray:
    """Return `count` candidates, of which the first are `rows` and the others are not looked at."""
    return np.concatenate([rows, np.zeros((count - len(rows), *rows.shape[1:]), rows.dtype)])
