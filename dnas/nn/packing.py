"""A tree of small arrays as one vector.

A loop reads and writes each array that it runs over with an operation of its own, and a program of many small
operations is slow to compile and to load. Parameters of an edge therefore go through a loop as one vector.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Tree = Any


@dataclass(frozen=True)
class Packing:
    """How a tree of float32 arrays lies in a vector; equal for trees of equal shapes.

    Attributes:
        treedef: the tree's form.
        shapes: of its leaves.
    """

    treedef: Any
    shapes: tuple[tuple[int, ...], ...]

    def pack(self, tree: Tree) -> jax.Array:
        """Return the `(..., n)` vector of a tree whose leaves may all have the same axes in front of their own."""
        leaves = [
            leaf.reshape(*leaf.shape[: leaf.ndim - len(shape)], -1)
            for leaf, shape in zip(self.treedef.flatten_up_to(tree), self.shapes, strict=True)
        ]
        return jnp.concatenate(leaves, axis=-1) if leaves else jnp.zeros((0,))

    def unpack(self, vector: jax.Array) -> Tree:
        """Return the tree that a `(..., n)` vector was packed from."""
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in self.shapes)])
        return self.treedef.unflatten(
            vector[..., begin:end].reshape(*vector.shape[:-1], *shape)
            for begin, end, shape in zip(ends[:-1], ends[1:], self.shapes, strict=True)
        )


def packing(tree: Tree, stacked: int = 0) -> Packing:
    """Return the packing of a tree, not counting the first `stacked` axes of its leaves."""
    leaves, treedef = jax.tree.flatten(tree)
    return Packing(treedef, tuple(tuple(leaf.shape[stacked:]) for leaf in leaves))
