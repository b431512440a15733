"""Which operations a sub-supernet may choose, as arrays.

Sub-supernets differ in nothing else, so that `vmap` can train them together. The masks are the `enc` of GM-NAS'
reference code (skhu101/GM-NAS): weights are a softmax over the allowed operations.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from dnas.errors import UserError
from dnas.types import Alpha, Array, Spec, Weights

Masks = Mapping[str, np.ndarray]
"""For each group `(edges, ops)` bool: which operations may be chosen."""


def all_allowed(spec: Spec) -> Masks:
    """Return the masks of the whole supernet."""
    return {
        name: np.ones((group.edges, len(group.ops)), bool) if group.allowed is None else np.array(group.allowed)
        for name, group in spec.items()
    }


def unsplit(masks: Masks) -> tuple[tuple[str, int], ...]:
    """Return the edges that still have all their operations, as `(group, edge)`."""
    return tuple((name, int(edge)) for name, rows in masks.items() for edge in np.flatnonzero(rows.all(axis=-1)))


def split(masks: Masks, group: str, edge: int, parts: Sequence[Sequence[int]]) -> tuple[Masks, ...]:
    """Return the masks of the sub-supernets that share all but one edge, on which each has one part of the operations.

    Args:
        masks: those of the supernet that is split.
        group: the edge's group.
        edge: the edge.
        parts: columns of the operations of each part.

    Raises:
        UserError: if the parts do not divide the operations that the edge has.
    """
    allowed = [int(column) for column in np.flatnonzero(masks[group][edge])]
    given = sorted(int(column) for part in parts for column in part)
    if given != allowed or not all(len(part) for part in parts):
        raise UserError(
            f"parts: expected each of the operations {allowed} of edge {edge} of {group!r} in exactly one part, got "
            f"{[list(part) for part in parts]}"
        )
    children = []
    for part in parts:
        rows = masks[group].copy()
        rows[edge] = False
        rows[edge, list(part)] = True
        children.append({**masks, group: rows})
    return tuple(children)


def stack(children: Sequence[Masks]) -> Mapping[str, Array]:
    """Return the masks of N sub-supernets as arrays `(N, edges, ops)`, to map over."""
    return {name: jnp.stack([jnp.asarray(child[name]) for child in children]) for name in children[0]}


def masked_softmax(alpha: Alpha, masks: Mapping[str, Array | np.ndarray]) -> Weights:
    """Return a softmax of each row over its allowed operations; the others weigh 0 and get no gradient."""
    return {name: jax.nn.softmax(alpha[name], axis=-1, where=jnp.asarray(mask)) for name, mask in masks.items()}
