"""The implicit estimate by conjugate gradients (Rajeswaran et al., arXiv:1909.04630; Pedregosa, arXiv:1602.02355)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from dnas.arguments import at_least_one
from dnas.hypergradients._levels import add, dot, inner_gradient, not_negative, outer_gradients, stateless
from dnas.types import Alpha, Array, Batches, Bilevel, Estimate, Hypergradient, Lower, Params, PRNGKey


def conjugate_gradient(steps: int = 5, damping: float = 1.0, tolerance: float = 1e-5) -> Hypergradient:
    """Return the hypergradient at weights taken for optimal: d - M^T (H + damping I)^-1 v.

    H and M are the inner loss's second derivatives with respect to the weights, and to the weights and `alpha`; v and d
    are the outer loss's gradients for the weights and for `alpha` (implicit function theorem). The system is solved by
    conjugate gradients with Hessian-vector products. Unlike `neumann` it knows nothing of the optimiser: its weight
    decay is not in H, and belongs into `damping`.

    The Hessian of a supernet is not positive definite. Where a direction shows no positive curvature after damping the
    solver stops at what it has, at worst the first-order estimate. The bias is that of the damping, of the steps not
    taken, and of how far the present weights are from optimal.

    Args:
        steps: the most products with the Hessian.
        damping: added to the Hessian's eigenvalues; 0 adds nothing. The correction is at most |M| |v| / `damping` where
            the Hessian is positive, so the default keeps flat directions from dominating.
        tolerance: of the residual, relative to v, at which the solver is done.

    Raises:
        UserError: if `steps` is less than 1, or `damping` or `tolerance` is negative.
    """
    at_least_one(steps=steps)
    not_negative(damping=damping, tolerance=tolerance)

    def estimate(
        key: PRNGKey, problem: Bilevel, lower: Lower, alpha: Alpha, state: Any, batches: Batches
    ) -> tuple[Estimate, Any]:
        (loss, evaluation), (slope, direct) = outer_gradients(
            key, problem, lower.params, alpha, lower.stats, batches.valid
        )
        _, pullback = jax.vjp(inner_gradient(key, problem, lower, batches), lower.params, alpha)
        enough = tolerance**2 * dot(slope, slope)

        def unsolved(at: _Solver) -> Array:
            return (at.step < steps) & at.convex & (at.square > enough)

        def advance(at: _Solver) -> _Solver:
            product, mixed = pullback(at.direction)
            return _advance(at, add(product, at.direction, damping), mixed)

        start = _Solver(jnp.zeros((), jnp.int32), jnp.array(True), slope, slope, dot(slope, slope), direct)
        return Estimate(lax.while_loop(unsolved, advance, start).grads, loss, evaluation), state

    return Hypergradient(stateless, estimate, second_order=True)


class _Solver(NamedTuple):
    """Where the solver is: `square` is the residual's squared norm, `grads` the estimate so far.

    The solution itself is not kept. What is wanted is its product with the mixed derivative, which is linear, and that
    comes with each product of the Hessian: so the program holds both once.
    """

    step: Array
    convex: Array
    residual: Params
    direction: Params
    square: Array
    grads: Alpha


def _advance(at: _Solver, product: Params, mixed: Alpha) -> _Solver:
    """Take one step, given the products of the direction with the damped Hessian and the mixed derivative."""
    curvature = dot(at.direction, product)
    convex = curvature > 0
    length = jnp.where(convex, at.square / jnp.where(convex, curvature, 1.0), 0.0)
    residual = add(at.residual, product, -length)
    square = dot(residual, residual)
    direction = add(residual, at.direction, square / at.square)
    return _Solver(at.step + 1, convex, residual, direction, square, add(at.grads, mixed, -length))
