"""Freezing single operations of a supernet within a search, by the alignment of their gradients (OLES).

`operation_alignment` says when an operation is frozen; here is what a search does with it, as three parts of a
composition. `remembering` keeps the last gradient on training data in the state of the weights' optimiser; `watching`
is the first-order hypergradient, whose one backward pass also gives the gradient of the weights on validation data,
which it compares with the remembered one; `freezing` lets frozen operations rest. As in the reference code
(PasaLab/oles, `train_search.py`), the training gradient is that of the step before, so that the first step compares
nothing.

In the tree of a supernet's weights, an operation is found by its name: it is what lies below the first word of a path
that is an operation's name or ends with one after `_`, as `edges_stride_1/op/sep_conv_3x3` and
`stage_0/edge_1_0_nor_conv_3x3`. The first axis of its tensors enumerates operations of their own, of the edges or cells
that run as one loop.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dnas.stopping import operation_alignment
from dnas.stopping.early import PARAMETER_FREE
from dnas.stopping.operation_alignment import Alignment
from dnas.types import Alpha, Array, Batches, Bilevel, Estimate, Freezing, Hypergradient, Lower, Params, PRNGKey, Spec

LEAD = 1
"""Axes in front of an operation's own, which enumerate operations."""


class Remembered(NamedTuple):
    """State of a weights' optimiser that remembers.

    Attributes:
        inner: state of the optimiser.
        grads: the gradient of the last step.
        any: () bool, whether there has been a step.
    """

    inner: Any
    grads: Params
    any: Array


def trained_ops(spec: Spec) -> tuple[str, ...]:
    """Return the operations of a space that may be frozen: those with trained weights, without skip connections.

    The reference code leaves out the factorised reduction that stands for a skip connection of stride 2.
    """
    ops = dict.fromkeys(op for group in spec.values() for op in group.ops)
    return tuple(op for op in ops if op not in PARAMETER_FREE)


def operations(tree: Params, ops: Sequence[str]) -> dict[str, list[Any]]:
    """Return the leaves of each operation, by its path in the tree of the weights."""
    found: dict[str, list[Any]] = {}
    for path, leaf in jax.tree.leaves_with_path(tree):
        owner = _owner(path, ops)
        if owner:
            found.setdefault(owner, []).append(leaf)
    return found


def remembering(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return the optimiser with a `Remembered` state."""

    def init(params: Params) -> Remembered:
        return Remembered(optimizer.init(params), jax.tree.map(jnp.zeros_like, params), jnp.zeros((), bool))

    def update(grads: Params, state: Remembered, params: Params = None) -> tuple[Params, Remembered]:
        updates, inner = optimizer.update(grads, state.inner, params)
        return updates, Remembered(inner, grads, jnp.ones((), bool))

    return optax.GradientTransformation(init, update)


def watching(ops: Sequence[str], *, window: int = 20, least: float = 0.4) -> Hypergradient:
    """Return the first-order hypergradient that watches operations; its state is an `Alignment` for each path.

    It needs `remembering` around the optimiser of the weights.

    Args:
        ops: names of the operations that may be frozen.
        window: steps over which similarities are averaged.
        least: mean similarity below which an operation is frozen for good.
    """

    def init(params: Params, alpha: Alpha) -> dict[str, Alignment]:
        del alpha
        return {
            path: operation_alignment.start(leaves[0].shape[:LEAD]) for path, leaves in operations(params, ops).items()
        }

    def estimate(
        key: PRNGKey, problem: Bilevel, lower: Lower, alpha: Alpha, state: dict[str, Alignment], batches: Batches
    ) -> tuple[Estimate, dict[str, Alignment]]:
        def outer(params: Params, alpha: Alpha) -> Any:
            return problem.outer(params, alpha, lower.stats, batches.valid, key)

        both = jax.value_and_grad(outer, argnums=(0, 1), has_aux=True)
        (loss, evaluation), (valid, grads) = both(lower.params, alpha)
        before, after = operations(lower.opt.grads, ops), operations(valid, ops)
        seen = {
            path: operation_alignment.observe(
                own, operation_alignment.similarity(before[path], after[path], LEAD), window=window, least=least
            )
            for path, own in state.items()
        }
        state = jax.tree.map(lambda new, old: jnp.where(lower.opt.any, new, old), seen, state)
        return Estimate(grads, loss, evaluation), state

    return Hypergradient(init, estimate)


def freezing(ops: Sequence[str]) -> Freezing:
    """Return what zeroes gradients and updates of the operations that a `watching` hypergradient has frozen."""

    def rest(memory: dict[str, Alignment], tree: Params) -> Params:
        def own(path: Any, leaf: Array) -> Array:
            owner = _owner(path, ops)
            return operation_alignment.freeze(leaf, memory[owner].frozen) if owner else leaf

        return jax.tree.map_with_path(own, tree)

    return rest


def _owner(path: Any, ops: Sequence[str]) -> str:
    """Return the path of the operation that a leaf belongs to; empty if to none."""
    words = jax.tree_util.keystr(path, simple=True, separator="/").split("/")
    for index, word in enumerate(words):
        if any(word == op or word.endswith(f"_{op}") for op in ops):
            return "/".join(words[: index + 1])
    return ""
