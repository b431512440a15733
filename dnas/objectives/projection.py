"""Hard limits by projection: after each of its steps, `alpha` is drawn back to the nearest point that keeps them.

Iterative projection is the idea of RC-DARTS (Jin et al., arXiv:1912.12814), of which only the abstract was at hand; it
projects now and then (`dnas.methods.rc_darts`), here it is done after every step. How, `dnas.regularisers.resources`
says.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from dnas.arguments import at_least_one
from dnas.objectives._forms import Limits, checked, positive, shares, stateless
from dnas.regularisers.resources import nearest, violation
from dnas.types import Alpha, Array, Penalty


def projection(limits: Limits, *, steps: int = 50, rate: float = 0.1) -> Penalty:
    """Return the penalty that leaves the loss alone and projects; within the limits it changes no bit of `alpha`.

    A limit that is further away than one projection goes is come to over several steps of `alpha`.

    Args:
        limits: `(L,)`, the greatest affordable costs.
        steps: gradient steps of a projection.
        rate: first step size, in units of `alpha`.

    Raises:
        UserError: for limits or a `rate` that are not positive, or fewer than one step.
    """
    bounds = checked(limits)
    at_least_one(steps=steps)
    positive(rate=rate)

    def project(alpha: Alpha, costs: Callable[[Alpha], Array]) -> Alpha:
        def excess(alpha: Alpha) -> Array:
            return jnp.max(violation(shares(costs(alpha), bounds), high=1.0))

        return lax.cond(
            excess(alpha) > 0,
            lambda alpha: nearest(alpha, excess, steps=steps, rate=rate),
            lambda alpha: alpha,
            dict(alpha),
        )

    return stateless(lambda loss, costs: loss)._replace(project=project)
