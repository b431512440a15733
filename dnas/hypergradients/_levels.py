"""What estimates share: the gradients of the two levels, and arithmetic on pytrees."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from dnas.errors import UserError
from dnas.types import Alpha, Array, Batch, Batches, Bilevel, Evaluation, Lower, Params, PRNGKey, Stats


def stateless(params: Params, alpha: Alpha) -> Any:
    """Return the empty state of an estimate that remembers nothing."""
    del params, alpha
    return ()


def outer_gradients(
    key: PRNGKey, problem: Bilevel, params: Params, alpha: Alpha, stats: Stats, batch: Batch
) -> tuple[tuple[Array, Evaluation], tuple[Params, Alpha]]:
    """Return the outer loss with its evaluation, and its partial gradients for the weights and for `alpha`."""
    return jax.value_and_grad(problem.outer, argnums=(0, 1), has_aux=True)(params, alpha, stats, batch, key)


def inner_gradient(key: PRNGKey, problem: Bilevel, lower: Lower, batches: Batches) -> Callable[[Params, Alpha], Params]:
    """Return `(params, alpha) -> gradient of the inner loss for the weights`."""

    def gradient(params: Params, alpha: Alpha) -> Params:
        return jax.grad(problem.inner, has_aux=True)(params, alpha, lower.stats, batches.train, key)[0]

    return gradient


def weight_step(key: PRNGKey, problem: Bilevel, lower: Lower, batches: Batches) -> Callable[[Params, Alpha], Params]:
    """Return `(params, alpha) -> weights after one step` of the optimiser in use, from its present state."""
    gradient = inner_gradient(key, problem, lower, batches)
    return lambda params, alpha: problem.update(gradient(params, alpha), lower.opt, params)[0]


def add(first: Any, second: Any, scale: float | Array = 1.0) -> Any:
    """Return `first + scale * second` of two like pytrees, each leaf in its own type."""
    return jax.tree.map(lambda a, b: a + jnp.asarray(scale, a.dtype) * b, first, second)


def dot(first: Any, second: Any) -> Array:
    """Return the inner product of two like pytrees."""
    return jnp.sum(jnp.stack(jax.tree.leaves(jax.tree.map(jnp.vdot, first, second))))


def norm(tree: Any) -> Array:
    """Return the Euclidean norm of a pytree."""
    return jnp.sqrt(dot(tree, tree))


def positive(**values: float) -> None:
    """Raise `UserError` unless every value is greater than 0."""
    for name, value in values.items():
        if not value > 0:
            raise UserError(f"{name} is {value}: choose a value greater than 0")


def not_negative(**values: float) -> None:
    """Raise `UserError` unless every value is at least 0."""
    for name, value in values.items():
        if not value >= 0:
            raise UserError(f"{name} is {value}: choose 0 or a greater value")
