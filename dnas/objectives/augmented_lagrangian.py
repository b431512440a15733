"""Hard limits whose multipliers the search finds by itself: the augmented Lagrangian for inequalities.

With g = cost / limit - 1, which must not exceed 0, multipliers mu and a constant rho,

    total   = L + sum(max(0, mu + rho * g) ** 2 - mu ** 2) / (2 * rho)
    advance:  mu <- min(largest, max(0, mu + rate * rho * g))

The method of Hestenes, Powell and Rockafellar (Nocedal and Wright, Numerical Optimization, chapter 17, as recalled).
There mu moves once L is minimised, with rate 1; here it moves with every step of alpha, and hence by a part of that.
The greatest multiplier is the safeguard of Andreani et al. (2007, as recalled): while alpha is on its way to the limit,
a multiplier that grew without end would carry it far beyond.
"""

import jax.numpy as jnp

from dnas.objectives._forms import Limits, checked, positive, shares
from dnas.types import Array, Penalty


def augmented_lagrangian(limits: Limits, *, rho: float = 10.0, rate: float = 0.05, largest: float = 5.0) -> Penalty:
    """Return the penalty whose state is the multipliers, `(L,)` float32, 0 at first.

    Where the loss alone keeps the limits, multipliers stay 0 and nothing is added.

    Args:
        limits: `(L,)`, the greatest affordable costs.
        rho: constant of the quadratic term; a greater one keeps the limits sooner and more stiffly.
        rate: share of the full update of the multipliers that is made in a step.
        largest: greatest multiplier, in units of the loss for a cost of twice its limit; a limit that takes a greater
            one is exceeded by the rest divided by `rho`. The defaults are choices of this library.

    Raises:
        UserError: for limits or settings that are not positive.
    """
    bounds = checked(limits)
    positive(rho=rho, rate=rate, largest=largest)

    def excess(costs: Array) -> Array:
        return shares(costs, bounds) - 1.0

    def total(loss: Array, costs: Array, multipliers: Array) -> Array:
        active = jnp.maximum(0.0, multipliers + rho * excess(costs))
        return loss + jnp.sum(active**2 - multipliers**2) / (2.0 * rho)

    def advance(costs: Array, multipliers: Array) -> Array:
        moved = multipliers + (rate * rho * excess(costs)).astype(multipliers.dtype)
        return jnp.clip(moved, 0.0, largest)

    return Penalty(lambda: jnp.zeros(bounds.shape, jnp.float32), total, advance)
