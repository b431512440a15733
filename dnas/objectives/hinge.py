"""What exceeds a limit is added to the loss: `L + weight * sum(max(0, cost / limit - 1))`, or the squares of these.

The exact penalty function of constrained optimisation (Nocedal and Wright, Numerical Optimization, chapter 17, as
recalled): with a weight above the limit's multiplier its minimum keeps the limit, while that of squares exceeds it a
little.
"""

import jax.numpy as jnp

from dnas.objectives._forms import Limits, at_least, checked, shares, stateless
from dnas.regularisers.resources import violation
from dnas.types import Array, Penalty


def hinge(limits: Limits, *, weight: float = 10.0, squared: bool = False) -> Penalty:
    """Return the penalty of what exceeds the limits; costs within them add nothing and have no gradient.

    Args:
        limits: `(L,)`, the greatest affordable costs.
        weight: what a cost of twice its limit adds; a choice of this library, several times a cross entropy.
        squared: whether excesses are squared, which pulls gently near the limit.

    Raises:
        UserError: for limits that are not positive, or a negative weight.
    """
    bounds = checked(limits)
    at_least(0, weight=weight)

    def total(loss: Array, costs: Array) -> Array:
        over = violation(shares(costs, bounds), high=1.0)
        return loss + weight * jnp.sum(over**2 if squared else over)

    return stateless(total)
