"""The one-step unrolled estimate of DARTS by finite difference (arXiv:1806.09055, equation 8)."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dnas.hypergradients._levels import add, inner_gradient, norm, not_negative, outer_gradients, positive, stateless
from dnas.types import Alpha, Array, Batches, Bilevel, Estimate, Hypergradient, Lower, Params, PRNGKey


def unrolled_fd(
    xi: float = 1.0, radius: float = 0.01, optimizer: optax.GradientTransformation | None = None
) -> Hypergradient:
    """Return `unrolled` with its mixed second derivative replaced by a central difference of first derivatives.

    With w the weights, U the virtual step as a function of the inner gradient, w' = w + xi (U(grad L_train(w)) - w) and
    v = grad L_valid(w'), the estimate is the partial gradient of L_valid at w' for `alpha`, plus

        |q| / (2 r) * [grad_alpha L_train(w + r q / |q|) - grad_alpha L_train(w - r q / |q|)],

    where q = xi (dU/dg)^T v and r is `radius`. For SGD with learning rate eta, momentum and weight decay,
    U(g) = w - eta (momentum * trace + g + decay * w) and q = -xi eta v, so that this is the published code's formula
    (the file `architect.py` of quark0/darts: the same virtual step, epsilon = 0.01 / |v| over all weights). That code
    leaves gradient clipping out of the virtual step, while U is by default the optimiser in use, clipping included.

    The error is of second order in `radius`; float32 adds rounding of about 1e-7 / `radius` of the gradients. It takes
    four passes through the supernet, of which none is differentiated twice. Loss and evaluation are those at w'.

    Args:
        xi: length of the virtual step as a multiple of the step that the optimiser takes; 0 is `first_order`.
        radius: how far the weights are displaced, as a Euclidean norm.
        optimizer: takes the virtual step in place of the optimiser in use, whose state it is given. The published
            code's is `clipped_sgd(learning_rate, momentum, weight_decay, clip_norm=0)`.

    Raises:
        UserError: if `xi` is negative or `radius` is not positive.
    """
    not_negative(xi=xi)
    positive(radius=radius)

    def estimate(
        key: PRNGKey, problem: Bilevel, lower: Lower, alpha: Alpha, state: Any, batches: Batches
    ) -> tuple[Estimate, Any]:
        def step(grads: Params) -> Params:
            if optimizer is None:
                return problem.update(grads, lower.opt, lower.params)[0]
            return optax.apply_updates(lower.params, optimizer.update(grads, lower.opt, lower.params)[0])

        moved, pullback = jax.vjp(step, inner_gradient(key, problem, lower, batches)(lower.params, alpha))
        virtual = add(lower.params, add(moved, lower.params, -1.0), xi)
        (loss, evaluation), (slope, direct) = outer_gradients(key, problem, virtual, alpha, lower.stats, batches.valid)
        (along,) = pullback(jax.tree.map(lambda leaf: xi * leaf, slope))
        length = norm(along)
        unit = jax.tree.map(lambda leaf: leaf / jnp.maximum(length, jnp.finfo(length.dtype).tiny), along)

        def displaced(side: Array) -> Alpha:
            params = add(lower.params, unit, side)
            return jax.grad(problem.inner, argnums=1, has_aux=True)(params, alpha, lower.stats, batches.train, key)[0]

        # A loop, so that the program holds the pass through the supernet once.
        sides = lax.map(displaced, jnp.array([radius, -radius], length.dtype))
        mixed = jax.tree.map(lambda both: both[0] - both[1], sides)
        return Estimate(add(direct, mixed, length / (2 * radius)), loss, evaluation), state

    return Hypergradient(stateless, estimate)
