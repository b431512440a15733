"""Early stopping of single operations: those whose training and validation gradients part are trained no further.

OLES (Jiang et al., *Operation-level early stopping for robustifying differentiable NAS*, NeurIPS 2023). Its abstract
says why: operations with weights overfit the training data, which favours skip connections on the validation data.
How is taken from the reference code (PasaLab/oles, `train_search.py`): in every step an operation's gradient on the
validation minibatch is compared with that on the last training minibatch, and every 20 steps an operation whose mean
cosine is below 0.4 is frozen for good.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dnas.errors import UserError
from dnas.types import Array


class Alignment(NamedTuple):
    """The state of the operations of one kind, for instance those of all edges that run as one loop.

    Attributes:
        total: float32, sum of the similarities in the present window.
        seen: int32 scalar, how many they are.
        frozen: bool, which operations are trained no further.
    """

    total: Array
    seen: Array
    frozen: Array


def start(shape: tuple[int, ...] = ()) -> Alignment:
    """Return the state before the first step, for operations whose gradients are stacked along axes of `shape`."""
    return Alignment(jnp.zeros(shape), jnp.zeros((), jnp.int32), jnp.zeros(shape, bool))


def similarity(train: Any, valid: Any, lead: int = 0) -> Array:
    """Return how alike two gradients of an operation are, from -1 to 1.

    For each tensor, the cosine along its output channels (the last axis here, the first in the reference code), mean
    over all other axes; then the mean over the operation's tensors. A zero gradient has cosine 0.

    Args:
        train: pytree of the operation's gradients on training data.
        valid: the same on validation data.
        lead: leading axes of every leaf that enumerate operations of their own.

    Returns:
        float32 array with the shape of those axes.

    Raises:
        UserError: if the operation has no trained weights.
    """
    pairs = list(zip(jax.tree.leaves(train), jax.tree.leaves(valid), strict=True))
    if not pairs:
        raise UserError("gradients: expected those of an operation with trained weights, got none; leave it out")
    cosines = []
    for one, other in pairs:
        left, right = one.astype(jnp.float32), other.astype(jnp.float32)
        lengths = jnp.linalg.norm(left, axis=-1) * jnp.linalg.norm(right, axis=-1)
        cosine = jnp.sum(left * right, axis=-1) / jnp.maximum(lengths, 1e-8)
        cosines.append(cosine.mean(axis=tuple(range(lead, cosine.ndim))))
    return jnp.mean(jnp.stack(cosines), axis=0)


def observe(state: Alignment, alike: Array, *, window: int = 20, least: float = 0.4) -> Alignment:
    """Take up the similarities of one step; at the end of a window, freeze the operations whose mean is below `least`.

    The reference code divides the sum of 21 steps by 20; here a window has as many steps as its mean divides by.
    """
    total, seen = state.total + alike, state.seen + 1
    full = seen >= window
    frozen = state.frozen | (full & (total / seen < least))
    return Alignment(jnp.where(full, 0.0, total), jnp.where(full, 0, seen), frozen)


def freeze(updates: Any, frozen: Array) -> Any:
    """Zero the updates of frozen operations; the leading axes of every leaf are those of `frozen`."""
    return jax.tree.map(
        lambda leaf: jnp.where(frozen.reshape(*frozen.shape, *(1,) * (leaf.ndim - frozen.ndim)), 0, leaf), updates
    )
