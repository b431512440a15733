"""How differently an untrained network sees different images (Mellor et al., arXiv:2006.04647v1)."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from dnas.errors import UserError
from dnas.types import Array, Mixture, SearchSpace, Variables

K = 1e-5
"""The paper's k, which keeps the logarithm of an eigenvalue of 0 finite."""


def jacob_cov(space: SearchSpace, variables: Variables, mixture: Mixture, x: Any) -> Array:
    """Return -Σ (log(λ + k) + 1 / (λ + k)) over the eigenvalues λ of the correlations of the inputs' gradients.

    Row b of the matrix that is correlated is the gradient, with respect to input b, of the sum of the outputs for the
    minibatch in training mode. If a network does the same to all images, they correlate, and the score is low; it is
    highest, for B inputs -B (log(1 + k) + 1 / (1 + k)), where no two correlate. An input on which the outputs do not
    depend counts as correlated with all others.

    Source: arXiv:2006.04647, version 1, section 3; the published code adds up the outputs too.

    Args:
        space: the space.
        variables: of its supernet, untrained.
        mixture: which architecture.
        x: a minibatch of inputs `(B, ...)`, or a pytree of them; gradients are those of what is real in it.

    Returns:
        A scalar.

    Raises:
        UserError: for inputs without real numbers, which have no gradients, or of which no axis counts the examples.
    """
    leaves, tree = jax.tree.flatten(x)
    real = [index for index, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    if len({len(leaves[index]) for index in real}) != 1:
        raise UserError(
            f"jacob_cov: the inputs are of type {', '.join(str(leaf.dtype) for leaf in leaves)}, expected real "
            f"numbers, which have gradients, a row for each example: leave it out (search.proxies=synflow)"
        )

    def total(own: list[Array]) -> Array:
        given = list(leaves)
        for index, leaf in zip(real, own, strict=True):
            given[index] = leaf
        outputs, _ = space.apply(variables, mixture, jax.tree.unflatten(tree, given), train=True)
        return sum((leaf.astype(jnp.float32).sum() for leaf in jax.tree.leaves(outputs)), start=jnp.zeros(()))

    slopes = jax.grad(total)([leaves[index] for index in real])
    rows = jnp.concatenate([leaf.astype(jnp.float32).reshape(len(leaf), -1) for leaf in slopes], axis=1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    sizes = jnp.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / jnp.where(sizes == 0, 1.0, sizes)
    products = jnp.matmul(rows, rows.T, precision=lax.Precision.HIGHEST)
    seen = (sizes > 0) & (sizes.T > 0)
    eigenvalues = jnp.maximum(jnp.linalg.eigvalsh(jnp.where(seen, products, 1.0)), 0.0) + K
    return -(jnp.log(eigenvalues) + 1 / eigenvalues).sum()
