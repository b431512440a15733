"""Synaptic flow (Tanaka et al., arXiv:2006.05467), as a proxy: Abdelfattah et al., arXiv:2101.08134, section 3."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from dnas.types import Array, Mixture, Params, SearchSpace, Variables

TINY = 1e-20
"""What the inputs are instead of 1: the flow is proportional to it, and of a deep network does not overflow so."""


def synflow(space: SearchSpace, variables: Variables, mixture: Mixture, x: Any) -> Array:
    """Return the logarithm of the sum over all weights of |weight| times the gradient of the flow with respect to it.

    The flow is the sum of a network's outputs for an input of ones, with each weight replaced by its size and batch
    norm by the identity, which it is with the statistics and the scale and bias that it begins with, up to its epsilon.
    Neither images nor labels enter. Of outputs that depend on no weight the score is the smallest float.

    Source: arXiv:2006.05467, equation 1 and algorithm 1 (the score |θ · ∂R/∂θ|), summed over the network as in
    arXiv:2101.08134. The logarithm, which keeps the order, is ours.

    Args:
        space: the space.
        variables: of its supernet, untrained.
        mixture: which architecture.
        x: example inputs `(B, ...)`, or a pytree, of which only shapes and types are used; what is no real number, such
            as tokens, is all 0.

    Returns:
        A scalar.
    """
    real = all(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in jax.tree.leaves(x))
    scale = TINY if real else 1.0
    # One example does, where the first axis is known to count them.
    one = x[:1] if isinstance(x, jax.Array) else x
    ones = jax.tree.map(lambda leaf: jnp.full_like(leaf, scale if jnp.issubdtype(leaf.dtype, jnp.inexact) else 0), one)
    # Compilers would compute with constants themselves, for seconds.
    ones = lax.optimization_barrier(ones)
    sizes = jax.tree.map(jnp.abs, variables.params)

    def flow(params: Params) -> tuple[Array, Array]:
        outputs, _ = space.apply(Variables(params, variables.stats), mixture, ones, train=False)
        total = sum((leaf.astype(jnp.float32).sum() for leaf in jax.tree.leaves(outputs)), start=jnp.zeros(()))
        # The logarithm's gradients, on their way back, are as large as activations are small; the flow's overflow.
        return jnp.log(jnp.where(total == 0, 1.0, jnp.abs(total))), total

    (logarithm, total), slopes = jax.value_and_grad(flow, has_aux=True)(sizes)
    share = sum(jax.tree.leaves(jax.tree.map(lambda size, slope: jnp.sum(size * slope), sizes, slopes)), jnp.zeros(()))
    found = logarithm - jnp.log(scale) + jnp.log(jnp.abs(share))
    return jnp.where((total == 0) | (share == 0), jnp.finfo(jnp.float32).min, found)
