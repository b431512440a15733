"""Costs added to the loss: `L + weight * sum(cost / limit)`.

The oldest form, a weighted sum, of which no paper is the source; written with shares of the limits it depends on no
unit. How far costs come down, the weight decides: the limits only say what counts as much.
"""

import jax.numpy as jnp

from dnas.objectives._forms import Limits, at_least, checked, shares, stateless
from dnas.types import Penalty


def additive(limits: Limits, *, weight: float = 0.1) -> Penalty:
    """Return the penalty that adds `weight` times the costs, each as a share of its limit.

    Args:
        limits: `(L,)`, what the costs are divided by.
        weight: what costs at their limit add to the loss; the default is the one of `proxyless`.

    Raises:
        UserError: for limits that are not positive, or a negative weight.
    """
    bounds = checked(limits)
    at_least(0, weight=weight)
    return stateless(lambda loss, costs: loss + weight * jnp.sum(shares(costs, bounds)))
