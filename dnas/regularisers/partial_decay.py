"""Weight decay only for what took part in a step (Hong et al., *DropNAS*, arXiv:2201.11679).

An operation that was dropped has no gradient, and with plain decay would shrink for nothing. The reference code
(wiljohnhong/DropNAS, `weight_decay_loss` and `alpha_decay_loss`) adds up wd |w|^2, without the usual half, over the
tensors that received gradient, and takes a second optimiser step on that sum: `partial_decay` is its gradient.
`add_partial_decay` puts it into the one step there is, as an Optax transformation.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from dnas.errors import UserError

ENTRIES = -1
"""For `lead`: every entry is a tensor of its own, as the reference code has it for architecture parameters."""


def partial_decay(gradients: Any, params: Any, weight_decay: float, *, lead: Any = 0, above: float = 0.0) -> Any:
    """Return `2 * weight_decay * param` for tensors that received gradient and zero for the others.

    Args:
        gradients: pytree of gradients.
        params: pytree of the same shape.
        weight_decay: factor wd of the sum of squares.
        lead: how many leading axes of a leaf enumerate tensors of their own, such as the edges that run as one loop, or
            `ENTRIES`; a number for all leaves or a pytree that is a prefix of `params`.
        above: a tensor received gradient if an entry's magnitude exceeds this (reference: 0 for weights, of which it
            looks at the first entry only, 1e-7 for architecture parameters).

    Raises:
        UserError: if a leaf has fewer axes than `lead` says.
    """

    def own(axes: int, gradient: jax.Array, param: jax.Array) -> jax.Array:
        axes = param.ndim if axes == ENTRIES else axes
        if not 0 <= axes <= param.ndim:
            raise UserError(f"lead: expected from 0 to {param.ndim} axes for a leaf of shape {param.shape}, got {axes}")
        took_part = jnp.any(jnp.abs(gradient) > above, axis=tuple(range(axes, param.ndim)), keepdims=True)
        return jnp.where(took_part, 2 * weight_decay * param, 0)

    return jax.tree.map(own, jax.tree.broadcast(lead, params), gradients, params)


def add_partial_decay(weight_decay: float, *, lead: Any = 0, above: float = 0.0) -> optax.GradientTransformation:
    """Return the transformation that adds `partial_decay` to the gradient, to stand before momentum or moments.

    Unlike the reference code's second step, the decay passes through momentum and learning rate once, with the
    gradient.

    Args:
        weight_decay: as in `partial_decay`, like the arguments that follow.
        lead: leading axes that enumerate tensors of their own.
        above: least magnitude that counts as a gradient.
    """

    def update(updates: Any, state: optax.EmptyState, params: Any = None) -> tuple[Any, optax.EmptyState]:
        if params is None:
            raise UserError("add_partial_decay: expected the parameters, got none; pass them to the optimiser's update")
        decay = partial_decay(updates, params, weight_decay, lead=lead, above=above)
        return jax.tree.map(jnp.add, updates, decay), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
