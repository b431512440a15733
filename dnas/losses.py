"""Losses and metrics of classification, one label for each row of logits: an image's class, or a text's next token."""

import jax.numpy as jnp
import optax

from dnas.types import Array


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Mean cross entropy in nats of `(..., classes)` logits against `(...,)` integer labels."""
    return optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels).mean()


def accuracy(logits: Array, labels: Array) -> Array:
    """Share of `(..., classes)` logits whose largest entry is the label."""
    return jnp.mean((jnp.argmax(logits, axis=-1) == labels).astype(jnp.float32))


def perplexity(nats: Array | float) -> Array:
    """Return exp of a mean cross entropy: among how many equally likely tokens a predictor is undecided."""
    return jnp.exp(nats)


def bits(nats: Array | float) -> Array:
    """Return a mean cross entropy in bits: for characters, bits per character."""
    return jnp.asarray(nats) / jnp.log(2.0)
