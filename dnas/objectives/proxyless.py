"""The two losses of ProxylessNAS (Cai, Zhu and Han, arXiv:1812.00332), with the limits as reference costs.

    linear: L + weight * sum((cost - ref) / ref)
    log:    alpha * L * prod((ln cost / ln ref) ** beta)

Both are those of `add_regularization_loss` in the authors' code (mit-han-lab/proxylessnas at 80c1c37,
`search/nas_manager.py`), which has one cost; the defaults are of `search/imagenet_arch_search.py`, whose reference on a
phone is 80 ms. Sum and product over several are of this library.
"""

import jax.numpy as jnp

from dnas.errors import unknown
from dnas.objectives._forms import Limits, at_least, checked, logarithm, matching, positive, shares, stateless
from dnas.types import Array, Penalty

FORMS = ("linear", "log")


def proxyless(
    limits: Limits, *, form: str = "linear", weight: float = 0.1, alpha: float = 0.2, beta: float = 0.3
) -> Penalty:
    """Return one of the penalties of ProxylessNAS.

    The logarithmic form depends on the units of the costs, as published. It is the published one for costs and limits
    from e = 2.718 units on; below, each logarithm is continued by its tangent (`_forms.logarithm`).

    Args:
        limits: `(L,)`, the reference costs.
        form: `linear` or `log`.
        weight: lambda of the linear form.
        alpha: factor of the logarithmic form; it matters beside regularisers only.
        beta: exponent of the logarithmic form.

    Raises:
        UserError: for limits that are not positive, an unknown form, a negative `weight` or `beta`, or an `alpha` that
            is not positive.
    """
    references = checked(limits)
    if form not in FORMS:
        raise unknown("form of proxyless", form, FORMS)
    at_least(0, weight=weight, beta=beta)
    positive(alpha=alpha)

    def linear(loss: Array, costs: Array) -> Array:
        return loss + weight * jnp.sum(shares(costs, references) - 1.0)

    def log(loss: Array, costs: Array) -> Array:
        relative = logarithm(costs) / logarithm(matching(costs, references))
        return alpha * loss * jnp.prod(relative**beta)

    return stateless(linear if form == "linear" else log)
