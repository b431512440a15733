"""The implicit estimate by a truncated Neumann series, as iDARTS has it (arXiv:2106.10784)."""

from typing import Any

import jax
from jax import lax

from dnas.arguments import at_least_one
from dnas.hypergradients._levels import add, outer_gradients, stateless, weight_step
from dnas.types import Alpha, Batches, Bilevel, Estimate, Hypergradient, Lower, PRNGKey


def neumann(terms: int = 3) -> Hypergradient:
    """Return the hypergradient at weights that the optimiser's step would leave alone, of a truncated series.

    With A and B the derivatives of one step of the weights, U(w, alpha), with respect to w and to `alpha`, the implicit
    function theorem at w = U(w, alpha) gives the hypergradient as the partial gradient for `alpha` plus
    B^T (I - A^T)^-1 v, where v is the outer loss's gradient for the weights; here the inverse is
    I + A^T + ... + (A^T)^(terms - 1). For SGD with learning rate eta and weight decay, A = I - eta H and B = -eta M
    with H the inner Hessian, decay included, and M the mixed derivative, which is the series of iDARTS:
    -eta M^T sum_k (I - eta H)^k v (formula recalled; its length, k = 0 to 2, as in the published code, which
    approximates both products otherwise: by the slopes of the gradient's norm and by a finite difference).

    The optimiser's momentum is held while A and B are taken; clipping counts where it is active. All derivatives are at
    the present weights, as if they were optimal: the estimate is biased by how far they are from it, and by the rest of
    the series, of relative size |A|^terms. The series converges only where the step does. iDARTS takes several steps of
    the weights (4 in its code) for each of `alpha`: the option `alpha_every` of `dnas.search.compose`.

    Args:
        terms: of the series; iDARTS has 3.

    Raises:
        UserError: if `terms` is less than 1.
    """
    at_least_one(terms=terms)

    def estimate(
        key: PRNGKey, problem: Bilevel, lower: Lower, alpha: Alpha, state: Any, batches: Batches
    ) -> tuple[Estimate, Any]:
        (loss, evaluation), (slope, direct) = outer_gradients(
            key, problem, lower.params, alpha, lower.stats, batches.valid
        )
        _, pullback = jax.vjp(weight_step(key, problem, lower, batches), lower.params, alpha)

        def add_term(_: Any, carry: Any) -> Any:
            power, grads = carry
            power, mixed = pullback(power)
            return power, add(grads, mixed)

        _, grads = lax.fori_loop(0, terms, add_term, (slope, direct))
        return Estimate(grads, loss, evaluation), state

    return Hypergradient(stateless, estimate, second_order=True)
