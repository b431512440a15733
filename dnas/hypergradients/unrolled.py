"""The one-step unrolled estimate of DARTS, exact (arXiv:1806.09055, section 2.3, equations 5 to 7)."""

from typing import Any

import jax

from dnas.hypergradients._levels import add, not_negative, stateless, weight_step
from dnas.types import Alpha, Batches, Bilevel, Estimate, Hypergradient, Lower, PRNGKey


def unrolled(xi: float = 1.0) -> Hypergradient:
    """Return the gradient of the outer loss at weights one virtual step ahead, with respect to `alpha`.

    The step is the one that the weights' optimiser takes of the training minibatch, clipping, weight decay and momentum
    included, and automatic differentiation goes through it and through the gradient that it is made of. So the estimate
    is the exact derivative of the composite function, up to rounding: it is `unrolled_fd` without the finite
    difference. Of the true hypergradient it leaves out what further steps would add, as `neumann` shows.

    The loss and the evaluation are those at the virtual weights.

    Args:
        xi: length of the virtual step as a multiple of the step that the optimiser takes; 0 is `first_order`. With
            plain gradient descent, the paper's xi is this times the learning rate.

    Raises:
        UserError: if `xi` is negative.
    """
    not_negative(xi=xi)

    def estimate(
        key: PRNGKey, problem: Bilevel, lower: Lower, alpha: Alpha, state: Any, batches: Batches
    ) -> tuple[Estimate, Any]:
        step = weight_step(key, problem, lower, batches)

        def outer(alpha: Alpha) -> Any:
            moved = step(lower.params, alpha)
            virtual = add(lower.params, add(moved, lower.params, -1.0), xi)
            return problem.outer(virtual, alpha, lower.stats, batches.valid, key)

        (loss, evaluation), grads = jax.value_and_grad(outer, has_aux=True)(alpha)
        return Estimate(grads, loss, evaluation), state

    return Hypergradient(stateless, estimate, second_order=True)
