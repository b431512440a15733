"""Shannon's entropy of the operation weights: how undecided a search is."""

import jax.numpy as jnp

from dnas.types import Array, Weights


def entropy(weights: Weights) -> Array:
    """Return the mean over all edges of -sum(w log w), in nats: log K for K equal weights, 0 for one-hot ones.

    Added to a loss it draws each edge to one operation, subtracted it keeps all in play. The derivative is finite even
    where a weight is zero.

    Args:
        weights: operation weights `(edges, ops)` of each group, rows on the simplex.
    """
    rows = [jnp.sum(-row * jnp.log(jnp.maximum(row, jnp.finfo(row.dtype).tiny)), axis=-1) for row in weights.values()]
    return jnp.mean(jnp.concatenate(rows))
