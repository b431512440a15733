"""The objective of MnasNet (Tan et al., arXiv:1807.11626), turned from a reward into a loss.

The paper maximises ACC * (LAT / T) ** w, where w is alpha for LAT <= T and beta above (as summaries of it give the
equations). A loss is minimised instead, so that it is multiplied by the inverse factor:

    L * prod((cost / limit) ** -w)

That, and the product over several costs, are of this library.
"""

import jax.numpy as jnp

from dnas.errors import UserError
from dnas.objectives._forms import Limits, checked, shares, stateless
from dnas.types import Array, Penalty


def mnasnet(limits: Limits, *, alpha: float = -0.07, beta: float = -0.07) -> Penalty:
    """Return the penalty that multiplies the loss by powers of the costs' shares of their limits.

    The defaults are the paper's soft limit: twice the cost must pay with 5 % of the accuracy. Its hard limit has
    `alpha=0` and `beta=-1`: no gain below the limit, and a steep loss above.

    Args:
        limits: `(L,)`, the targets T.
        alpha: exponent of costs up to their limits.
        beta: exponent of costs above.

    Raises:
        UserError: for limits that are not positive, or positive exponents, which would reward cost.
    """
    targets = checked(limits)
    for name, value in {"alpha": alpha, "beta": beta}.items():
        if not -jnp.inf < value <= 0:
            raise UserError(f"{name} is {value:g}: choose 0 or a lesser value, since a positive one would reward cost")

    def total(loss: Array, costs: Array) -> Array:
        parts = jnp.maximum(shares(costs, targets), jnp.finfo(costs.dtype).tiny)
        return loss * jnp.prod(jnp.exp(-jnp.where(parts > 1.0, beta, alpha) * jnp.log(parts)))

    return stateless(total)
