"""Restricting what a supernet mixes to the operations that each edge offers."""

import jax
import jax.numpy as jnp
import numpy as np

from dnas.types import Array, Mixture, Paths


def restricted(mixture: Mixture, allowed: dict[str, np.ndarray]) -> dict[str, Array | Paths]:
    """Return the mixture of the allowed operations; they keep their weights, and nothing else is computed in training.

    No derivative reaches the weights of the others.

    Args:
        mixture: of all operations, or of the paths that a relaxation sampled.
        allowed: for each group, a `(edges, ops)` bool mask with equally many allowed operations in each row.
    """
    return {name: _paths(rows, allowed[name]) for name, rows in mixture.items()}


def _paths(rows: Array | Paths, allowed: np.ndarray) -> Paths:
    columns = np.nonzero(allowed)[1].reshape(len(allowed), -1).astype(np.int32)
    if not isinstance(rows, Paths):
        return Paths(jnp.where(allowed, rows, 0), jnp.asarray(columns))
    if rows.active.shape[-1] < columns.shape[-1]:
        return rows._replace(weights=jnp.where(allowed, rows.weights, 0))
    sampled = jax.nn.one_hot(rows.active, allowed.shape[-1], dtype=bool).any(axis=-2)
    return Paths(jnp.where(sampled & allowed, rows.weights, 0), jnp.asarray(columns))
