"""The first-order estimate of DARTS (arXiv:1806.09055, section 2.3 with ξ = 0)."""

from typing import Any

import jax

from dnas.hypergradients._levels import stateless
from dnas.types import Alpha, Batches, Bilevel, Estimate, Hypergradient, Lower, PRNGKey


def first_order() -> Hypergradient:
    """Return the estimate that takes the present weights for optimal: the partial gradient of the outer loss.

    Its bias is the whole dependence of the optimal weights on `alpha`. Loss and evaluation are those at the present
    weights.
    """

    def estimate(
        key: PRNGKey, problem: Bilevel, lower: Lower, alpha: Alpha, state: Any, batches: Batches
    ) -> tuple[Estimate, Any]:
        def outer(alpha: Alpha) -> Any:
            return problem.outer(lower.params, alpha, lower.stats, batches.valid, key)

        (loss, evaluation), grads = jax.value_and_grad(outer, has_aux=True)(alpha)
        return Estimate(grads, loss, evaluation), state

    return Hypergradient(stateless, estimate)
