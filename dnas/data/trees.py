"""Pytrees of arrays that share a first axis, the examples: checks, rows, fingerprints."""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas.errors import UserError


def arrays_of(what: str, tree: Any) -> Any:
    """Return a pytree with NumPy arrays of numbers or booleans as leaves.

    Raises:
        UserError: if it has no leaf, or one is something else.
    """
    if not jax.tree.leaves(tree):
        raise UserError(f"{what} holds no array, expected at least one: give an array or a pytree of arrays")

    def of(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf)
        if not any(jnp.issubdtype(array.dtype, kind) for kind in (np.number, np.bool_)):
            raise UserError(f"{what} has an array of type {array.dtype}, expected numbers or booleans: convert it")
        return array

    return jax.tree.map(of, tree)


def examples(what: str, tree: Any) -> int:
    """Return how many examples a pytree of arrays holds, at least one.

    Raises:
        UserError: if its arrays disagree about that, one has no axis, or there is none.
    """
    lengths = [leaf.shape[:1] for leaf in jax.tree.leaves(tree)]
    if any(length != lengths[0] for length in lengths) or lengths[0] == ():
        shapes = ", ".join(str(leaf.shape) for leaf in jax.tree.leaves(tree))
        raise UserError(
            f"{what} has arrays of shapes {shapes}, expected one first axis, the examples, for all: give one entry an "
            f"example, or use dnas.data.whole for a graph"
        )
    if lengths[0] == (0,):
        raise UserError(f"{what} is empty, expected at least one example: give some")
    return int(lengths[0][0])


def rows(tree: Any, chosen: Any) -> Any:
    """Return the examples at `chosen`."""
    return jax.tree.map(lambda leaf: leaf[chosen], tree)


def fingerprint(tree: Any) -> str:
    """Return the SHA-256, in hexadecimal, of a pytree of arrays: its structure, shapes, types and bytes."""
    digest = hashlib.sha256(str(jax.tree.structure(tree)).encode())
    for leaf in jax.tree.leaves(tree):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{array.shape} {array.dtype.name}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
