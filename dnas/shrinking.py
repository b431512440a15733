"""Spaces whose edges offer fewer operations, of which nothing else is computed: what progressive methods go on with."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas.fewshot.masks import Masks, all_allowed
from dnas.types import Array, Mixture, Paths, SearchSpace, Spec, Stats, Variables, Weights


def strongest(spec: Spec, weights: Weights, keep: int) -> Masks:
    """Return the masks of the `keep` heaviest operations of each edge, among those that the edge offers.

    Equally heavy ones: the lower column first. Every edge keeps as many as any other, hence no more than the edge that
    offers the fewest.

    Args:
        spec: the groups.
        weights: operation weights `(edges, ops)` of each group.
        keep: operations of an edge that are kept, at least 1.
    """
    masks = {}
    for name, allowed in all_allowed(spec).items():
        rows = np.where(allowed, np.asarray(weights[name], np.float32), -np.inf)
        count = min(keep, int(allowed.sum(axis=-1).min()))
        masks[name] = np.zeros_like(allowed)
        np.put_along_axis(masks[name], np.argsort(-rows, axis=-1, kind="stable")[:, :count], True, axis=-1)
    return masks


def shrunk(space: SearchSpace, masks: Masks) -> SearchSpace:
    """Return the space whose edges offer these operations; itself where they offer no others.

    Architecture parameters and variables keep their shapes. In training the supernet computes on each edge what is
    offered, and nothing else; `Group.allowed` has every search choose among that. Rebuilt with other settings, the
    space stays shrunk.

    Args:
        space: what is shrunk.
        masks: for each group `(edges, ops)` bool, with equally many operations in each row, all offered before.
    """
    before = all_allowed(space.spec)
    if all(np.array_equal(before[name], masks[name]) for name in before):
        return space
    spec = {name: group._replace(allowed=tuple(map(tuple, masks[name].tolist()))) for name, group in space.spec.items()}

    def apply(variables: Variables, mixture: Mixture, x: Array, *, train: bool) -> tuple[Array, Stats]:
        return space.apply(variables, restricted(mixture, masks), x, train=train)

    def rebuild(**changes: Any) -> SearchSpace:
        return shrunk(space.rebuild(**changes), masks)

    return space._replace(spec=spec, apply=apply, rebuild=rebuild)


def restricted(mixture: Mixture, masks: Masks) -> Mapping[str, Paths]:
    """Return the mixture of the allowed operations; they keep their weights, and nothing else is computed in training.

    No derivative reaches the weights of the others.

    Args:
        mixture: of all operations, or of the paths that a relaxation sampled.
        masks: for each group, a `(edges, ops)` bool mask with equally many allowed operations in each row.
    """
    return {name: _paths(rows, masks[name]) for name, rows in mixture.items()}


def _paths(rows: Array | Paths, allowed: np.ndarray) -> Paths:
    columns = np.nonzero(allowed)[1].reshape(len(allowed), -1).astype(np.int32)
    if not isinstance(rows, Paths):
        return Paths(jnp.where(allowed, rows, 0), jnp.asarray(columns))
    if rows.active.shape[-1] < columns.shape[-1]:
        return rows._replace(weights=jnp.where(allowed, rows.weights, 0))
    sampled = jax.nn.one_hot(rows.active, allowed.shape[-1], dtype=bool).any(axis=-2)
    return Paths(jnp.where(sampled & allowed, rows.weights, 0), jnp.asarray(columns))
