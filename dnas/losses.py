"""Losses and metrics of classification."""

import jax.numpy as jnp
import optax

from dnas.types import Array


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Mean cross entropy in nats of `(B, classes)` logits against `(B,)` integer labels."""
    return optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels).mean()


def accuracy(logits: Array, labels: Array) -> Array:
    """Share of `(B, classes)` logits whose largest entry is the label."""
    return jnp.mean((jnp.argmax(logits, axis=-1) == labels).astype(jnp.float32))
