"""Sampled paths: drawing one, and passing a gradient through the draw."""

import jax
import jax.numpy as jnp

from dnas.types import Array, Paths


def straight_through(hard: Array, soft: Array) -> Array:
    """Return `hard` to the last bit, with the derivative of `soft` (Bengio et al., arXiv:1308.3432).

    Reference codes add up `hard - soft + soft`, which rounds; the difference taken first is exactly zero.
    """
    return jax.lax.stop_gradient(hard) + (soft - jax.lax.stop_gradient(soft))


def one_path(column: Array, soft: Array) -> Paths:
    """Return the path of one column an edge, its weight 1, with the derivative of `soft`.

    Args:
        column: `(edges,)` sampled columns.
        soft: `(edges, ops)` weights that the gradient goes to.
    """
    hard = jax.nn.one_hot(column, soft.shape[-1], dtype=soft.dtype)
    return Paths(straight_through(hard, soft), column[:, None].astype(jnp.int32))
