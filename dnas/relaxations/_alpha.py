"""Where architecture parameters start, the keys of groups, and how an operation is left out."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp

from dnas.types import Alpha, Array, PRNGKey, Spec, Weights

ABSENT = -1e4
"""The entry of `alpha` that stands for an operation left out (`masked`): its softmax is 0 to the last bit beside any
trained entry, and unlike minus infinity it can be sorted, summed and differentiated."""


def normal(key: PRNGKey, spec: Spec, scale: float, mean: float = 0.0) -> dict[str, Array]:
    """Return `(edges, ops)` rows for each group, drawn from a normal distribution; groups do not share draws."""
    keys = dict(zip(spec, jax.random.split(key, len(spec)), strict=True))
    return {
        name: mean + scale * jax.random.normal(keys[name], (group.edges, len(group.ops)))
        for name, group in spec.items()
    }


def zeros(key: PRNGKey, spec: Spec) -> dict[str, Array]:
    """Return `(edges, ops)` rows of zeros for each group."""
    del key
    return {name: jnp.zeros((group.edges, len(group.ops))) for name, group in spec.items()}


def group_keys(key: PRNGKey, names: Iterable[str]) -> dict[str, PRNGKey]:
    """Return a key of its own for each group.

    They go by the names in sorted order, since a dictionary leaves a transformation such as `jit` in that order.
    """
    return {name: jax.random.fold_in(key, index) for index, name in enumerate(sorted(names))}


def softmaxes(alpha: Alpha) -> Weights:
    """Return the softmax over each edge's row."""
    return {name: jax.nn.softmax(rows, axis=-1) for name, rows in alpha.items()}
