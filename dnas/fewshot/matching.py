"""How differently the operations of one edge want the shared weights to move.

GM-NAS (Hu et al., *Generalizing few-shot NAS with gradient matching*, arXiv:2203.15207); the formula, with its 1e-6,
is that of the reference code (skhu101/GM-NAS, `match_loss`, metric `cos`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dnas.compiling import compiler_options
from dnas.errors import UserError
from dnas.tasks import scalar_loss, task_of
from dnas.types import Array, Batch, Params, SearchSpace, Variables, Weights


def gradient_distances(gradients: Sequence[Any]) -> np.ndarray:
    """Return the distances 1 - cos between the gradients that belong to the K operations of an edge.

    Gradient k is that of the training loss with the edge set to operation k alone, all other edges as they are, with
    respect to all weights except the edge's own. The published distances are means over 100 minibatches: average the
    results of this function, not the gradients.

    Args:
        gradients: K pytrees of equal structure, each read as one long vector.

    Returns:
        `(K, K)` float64, symmetric, between 0 (same direction) and 2 (opposite).

    Raises:
        UserError: if the gradients do not have equal sizes, or one is not finite.
    """
    vectors = [
        np.concatenate([np.ravel(np.asarray(leaf, np.float64)) for leaf in jax.tree.leaves(tree)]) for tree in gradients
    ]
    sizes = sorted({vector.size for vector in vectors})
    if len(sizes) != 1 or not all(np.isfinite(vector).all() for vector in vectors):
        raise UserError(
            f"gradients: expected finite ones of the same weights for every operation, got sizes {sizes}; leave out "
            f"the edge's own weights and check that the search has not diverged"
        )
    stacked = np.stack(vectors)
    lengths = np.linalg.norm(stacked, axis=1)
    return 1 - stacked @ stacked.T / (np.outer(lengths, lengths) + 1e-6)


def operation_gradients(
    space: SearchSpace, group: str, hard: bool = True
) -> Callable[[Variables, Weights, int, Batch], Params]:
    """Return `(variables, weights, edge, batch) -> gradients`, compiled: one for each operation of an edge.

    Gradient k is that of the batch's loss with respect to all weights while the edge is set to operation k alone and
    all other edges mix as they are. Each leaf has a first axis of the K operations.

    Args:
        space: the space.
        group: the edge's group.
        hard: whether the one operation weighs 1, as the reference code has it on NAS-Bench-201, or what it weighs in
            the mixture, as on DARTS.
    """

    task = task_of(space)

    def gradients(variables: Variables, weights: Weights, edge: Array, batch: Batch) -> Params:
        own = weights[group][edge]

        def one(row: Array) -> Params:
            mixture = {**weights, group: weights[group].at[edge].set(row)}

            def loss(params: Params) -> Array:
                outputs, _ = space.apply(Variables(params, variables.stats), mixture, batch.x, train=True)
                return scalar_loss(task, outputs, batch)

            return jax.grad(loss)(variables.params)

        return lax.map(one, jnp.diag(jnp.ones_like(own) if hard else own))

    return jax.jit(gradients, compiler_options=compiler_options())


def without_own(gradients: Params, columns: Sequence[int]) -> list[Params]:
    """Return the gradients of some operations of an edge with the entries of the edge's own weights set to 0.

    The reference code leaves out the parameters of the edge's modules. Here they are known by what they do: a weight of
    operation k moves the loss only while the edge is set to k. So entries that fewer than two of the operations reach
    are the edge's own; a shared weight that only one of them happens to reach counts as one, too.

    Args:
        gradients: as `operation_gradients` returns them.
        columns: the operations in question.
    """

    def shared(leaf: Array) -> np.ndarray:
        some = np.asarray(leaf)[list(columns)]
        return np.where(np.count_nonzero(some, axis=0) > 1, some, 0)

    kept = jax.tree.map(shared, gradients)
    return [jax.tree.map(partial(_take, index), kept) for index in range(len(columns))]


def _take(index: int, leaf: np.ndarray) -> np.ndarray:
    return leaf[index]
