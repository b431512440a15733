"""Which images make up which minibatch: a pure function of a key, an epoch and a step."""

import jax
import jax.numpy as jnp

from dnas.types import Array, PRNGKey


def steps_per_epoch(size: int, batch_size: int) -> int:
    """Return how many minibatches cover `size` images; the last one is topped up with the epoch's first images."""
    return -(-size // batch_size)


def epoch_batches(key: PRNGKey, epoch: Array, size: int, batch_size: int) -> Array:
    """Return the `(steps, batch_size)` image indices of an epoch: each image once, in random order, then topped up."""
    steps = steps_per_epoch(size, batch_size)
    order = jax.random.permutation(jax.random.fold_in(key, epoch), size)
    return order[jnp.arange(steps * batch_size) % size].reshape(steps, batch_size)


def random_batch(key: PRNGKey, step: Array, size: int, batch_size: int) -> Array:
    """Return `(batch_size,)` different image indices, drawn anew in every step."""
    return jax.random.permutation(jax.random.fold_in(key, step), size)[:batch_size]


def split(key: PRNGKey, size: int, share: float, shuffle: bool) -> tuple[Array, Array]:
    """Divide `size` images into a training part of `share` and a validation part.

    Args:
        key: used if `shuffle`.
        size: number of images.
        share: share of the training part, between 0 and 1.
        shuffle: whether images are assigned at random; else the first ones train.

    Returns:
        Image indices of the training part and of the validation part.
    """
    order = jax.random.permutation(key, size) if shuffle else jnp.arange(size)
    border = int(size * share)
    return order[:border], order[border:]
