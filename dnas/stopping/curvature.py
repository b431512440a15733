"""The largest eigenvalue of the Hessian of a loss with respect to the architecture parameters.

R-DARTS (Zela et al., arXiv:1909.09656) finds that architectures generalise badly where this eigenvalue of
the validation loss has grown. Its reference code forms the whole Hessian; here only products with vectors are taken,
each exact and as dear as two gradients, so that any pytree of parameters will do.

Products are reverse over reverse, since a supernet's layers define their own reverse derivatives and no forward ones.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from dnas.types import Alpha, Array, PRNGKey

Product = Callable[[Array], Array]


def lanczos(
    loss: Callable[[Alpha], Array], alpha: Alpha, key: PRNGKey, *, steps: int = 20, weight_decay: float = 0.0
) -> Array:
    """Return the Ritz values of Lanczos' method, in increasing order; the last estimates the largest eigenvalue.

    The ends of the spectrum converge first; with as many steps as there are parameters the values are the eigenvalues.
    The basis is orthogonalised twice in every step. If it spans all that the Hessian reaches from the random first
    vector before the steps are over, the remaining values repeat that vector's Rayleigh quotient, which is no more
    than the largest.

    Args:
        loss: `(alpha) -> scalar`, twice differentiable.
        alpha: any pytree of float arrays.
        key: for the first vector.
        steps: products with the Hessian, and values returned if there are as many parameters.
        weight_decay: added to every eigenvalue, for a decay that is part of the optimiser and not of the loss (the
            reference code adds it).
    """
    size, product = _product(loss, alpha, weight_decay)
    steps = min(steps, size)
    first = _unit(jax.random.normal(key, (size,), jnp.result_type(*jax.tree.leaves(alpha))))

    def step(carry: tuple[Array, Array], index: Array) -> tuple[tuple[Array, Array], tuple[Array, Array, Array]]:
        basis, vector = carry
        basis = basis.at[index].set(vector)
        image = product(vector)
        rest = image
        for _ in range(2):
            rest = rest - basis.T @ (basis @ rest)
        length = jnp.linalg.norm(rest)
        # What is left of the image by rounding alone is no direction.
        left = length > 100 * jnp.finfo(length.dtype).eps * jnp.linalg.norm(image)
        following = jnp.where(left, _unit(rest), 0)
        return (basis, following), (vector @ image, jnp.where(left, length, 0), jnp.any(vector != 0))

    basis = jnp.zeros((steps, size), first.dtype)
    _, (diagonal, beside, real) = jax.lax.scan(step, (basis, first), jnp.arange(steps))
    diagonal = jnp.where(real, diagonal, diagonal[0])
    beside = beside[:-1]
    return jnp.linalg.eigvalsh(jnp.diag(diagonal) + jnp.diag(beside, 1) + jnp.diag(beside, -1))


def power_iteration(
    loss: Callable[[Alpha], Array], alpha: Alpha, key: PRNGKey, *, steps: int = 100, weight_decay: float = 0.0
) -> Array:
    """Return an estimate of the largest eigenvalue, by `2 * steps` products and two vectors of memory.

    Power iteration finds the eigenvalue of the largest magnitude; if that is negative, a second run on the Hessian
    shifted by it finds the largest one. The error falls with the ratio of the two leading magnitudes, so that `lanczos`
    needs fewer products.

    Args:
        loss: `(alpha) -> scalar`, twice differentiable.
        alpha: any pytree of float arrays.
        key: for the first vector.
        steps: products of each run.
        weight_decay: added to every eigenvalue, as in `lanczos`.
    """
    size, product = _product(loss, alpha, weight_decay)
    first = _unit(jax.random.normal(key, (size,), jnp.result_type(*jax.tree.leaves(alpha))))

    def run(vector: Array, shift: Array | float) -> Array:
        def step(vector: Array, _: None) -> tuple[Array, None]:
            image = product(vector) - shift * vector
            return jnp.where(jnp.any(image != 0), _unit(image), vector), None

        return jax.lax.scan(step, vector, None, length=steps)[0]

    leading = run(first, 0.0)
    value = leading @ product(leading)
    second = run(jnp.where(value < 0, first, leading), jnp.minimum(value, 0))
    return second @ product(second)


def _product(loss: Callable[[Alpha], Array], alpha: Alpha, weight_decay: float) -> tuple[int, Product]:
    """Return the number of parameters and the product of the decayed Hessian at `alpha` with a flat vector."""
    flat, unravel = ravel_pytree(alpha)
    _, pullback = jax.vjp(jax.grad(lambda values: loss(unravel(values))), flat)
    return flat.size, lambda vector: pullback(vector)[0] + weight_decay * vector


def _unit(vector: Array) -> Array:
    return vector / jnp.maximum(jnp.linalg.norm(vector), jnp.finfo(vector.dtype).tiny)
