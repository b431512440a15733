"""The zero-one loss of Fair-DARTS: weights near one half cost most (Chu et al., arXiv:1911.12126).

Both forms are those of the reference code (xiaomi-automl/FairDARTS, `separate_loss.py`).
"""

import jax.numpy as jnp

from dnas.errors import unknown
from dnas.types import Array, Weights


def zero_one(weights: Weights, form: str = "l2") -> Array:
    """Return minus the mean distance of the operation weights from 1/2, a scalar to be added to the validation loss.

    The published factor before it is 10. With sigmoid weights w the l2 form pushes away from 1/2 in proportion to the
    distance; the l1 form pushes equally hard everywhere (and not at all at 1/2 itself).

    Args:
        weights: operation weights `(edges, ops)` of each group, between 0 and 1; the mean is over all groups' entries.
        form: `l2`, -mean((w - 1/2)^2), or `l1`, -mean(|w - 1/2|).

    Raises:
        UserError: if `form` is none of the two.
    """
    distances = {"l2": jnp.square, "l1": jnp.abs}
    if form not in distances:
        raise unknown("form", form, distances)
    entries = jnp.concatenate([jnp.ravel(rows) for rows in weights.values()])
    return -jnp.mean(distances[form](entries - 0.5))
