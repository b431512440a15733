"""The loss of FBNet (Wu et al., arXiv:1812.03443): `L * alpha * prod(ln(cost) ** beta)`.

Only the paper's abstract could be read: the form, with alpha 0.2 and beta 0.6 and one cost, is recalled. The product
over several costs is of this library.
"""

import jax.numpy as jnp

from dnas.objectives._forms import Limits, at_least, checked, logarithm, matching, positive, stateless
from dnas.types import Array, Penalty


def fbnet(limits: Limits, *, alpha: float = 0.2, beta: float = 0.6) -> Penalty:
    """Return the penalty that multiplies the loss by a power of the logarithm of the costs.

    As published it has no target, and depends on the units of the costs. It is the published one for costs from
    e = 2.718 units on; below, the logarithm is continued by its tangent (`_forms.logarithm`), since its power has no
    value below one unit.

    Args:
        limits: `(L,)`; they say how many costs there are, and their values do not enter.
        alpha: factor; it matters beside regularisers only.
        beta: exponent.

    Raises:
        UserError: for limits or an `alpha` that are not positive, or a negative `beta`.
    """
    bounds = checked(limits)
    positive(alpha=alpha)
    at_least(0, beta=beta)

    def total(loss: Array, costs: Array) -> Array:
        matching(costs, bounds)
        return loss * alpha * jnp.prod(logarithm(costs) ** beta)

    return stateless(total)
