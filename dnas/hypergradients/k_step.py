"""The estimate that unrolls several steps of the weights (reverse-mode: Franceschi et al., arXiv:1703.01785)."""

from typing import Any

import jax
from jax import lax

from dnas.arguments import at_least_one
from dnas.hypergradients._levels import stateless
from dnas.types import Alpha, Batches, Bilevel, Estimate, Hypergradient, Lower, PRNGKey


def k_step(steps: int = 2) -> Hypergradient:
    """Return the gradient of the outer loss at weights some virtual steps ahead, with respect to `alpha`.

    All steps are of the optimiser in use, whose momentum and schedules move on from step to step, and all take the one
    training minibatch that a search step is given, with the same sampled operation weights. The derivative is exact,
    up to rounding; one step is `unrolled`. At weights where the inner gradient vanishes, and with plain gradient
    descent, it equals `neumann` of as many terms, and tends to the true hypergradient as steps are added.

    The backward pass computes each step again from its weights, so that memory grows by one copy of weights and
    optimiser state a step. Loss and evaluation are those at the last virtual weights.

    Args:
        steps: how many.

    Raises:
        UserError: if `steps` is less than 1.
    """
    at_least_one(steps=steps)

    def estimate(
        key: PRNGKey, problem: Bilevel, lower: Lower, alpha: Alpha, state: Any, batches: Batches
    ) -> tuple[Estimate, Any]:
        def outer(alpha: Alpha) -> Any:
            @jax.checkpoint
            def step(carry: Any, _: None) -> tuple[Any, None]:
                params, opt = carry
                grads, _evaluation = jax.grad(problem.inner, has_aux=True)(
                    params, alpha, lower.stats, batches.train, key
                )
                return problem.update(grads, opt, params), None

            (params, _), _ = lax.scan(step, (lower.params, lower.opt), length=steps)
            return problem.outer(params, alpha, lower.stats, batches.valid, key)

        (loss, evaluation), grads = jax.value_and_grad(outer, has_aux=True)(alpha)
        return Estimate(grads, loss, evaluation), state

    return Hypergradient(stateless, estimate, second_order=True)
