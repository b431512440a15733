"""Growing the channels of trained operations by copies of channels that they have (DrNAS, arXiv:2006.10355).

The copying is that of Net2Net (arXiv:1511.05641) without its division of the weights behind a copied channel, as in the
code of DrNAS (xiangning-chen/DrNAS, `net2wider.py`): what an operation computes changes.
"""

import zlib
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from dnas.errors import UserError
from dnas.types import Array, PRNGKey

Tree = Any


def widened(key: PRNGKey, tree: Tree, like: Tree, ops: Iterable[str]) -> Tree:
    """Return `tree` with every array grown to the shape that it has in `like`.

    Along each axis that grows, entries drawn at random among the old ones, with replacement, are copied to the end; the
    old ones stay where they are. All arrays of one operation copy the same entries where they grow from the same size
    to the same size, whether they are kernels, batch statistics or an optimiser's traces of either, and so do
    operations of several edges that are stacked in one array. (The reference draws a layer's inputs and outputs apart.)

    Args:
        key: for the draws.
        tree: parameters, batch statistics, an optimiser's state, or several of them in one tree.
        like: the same tree at its new size; arrays or their shapes.
        ops: names of operations. The arrays of one are those under a key of a dictionary that ends with its name.

    Raises:
        UserError: if an array has more axes or fewer in `like`, or an axis is shorter there.
    """
    endings = tuple(ops)

    def grow(path: tuple[Any, ...], leaf: Array, target: Any) -> Array:
        if len(leaf.shape) != len(target.shape) or any(map(int.__gt__, leaf.shape, target.shape)):
            raise UserError(
                f"widening {jax.tree_util.keystr(path)}: expected a shape that {leaf.shape} can grow to, got "
                f"{target.shape}"
            )
        own = jax.random.fold_in(key, zlib.crc32(_operation(path, endings).encode()))
        for axis, (old, new) in enumerate(zip(leaf.shape, target.shape, strict=True)):
            if new > old:
                picks = jax.random.randint(jax.random.fold_in(jax.random.fold_in(own, old), new), (new - old,), 0, old)
                leaf = jnp.concatenate([leaf, jnp.take(leaf, picks, axis)], axis)
        return leaf

    return jax.tree_util.tree_map_with_path(grow, tree, like)


def _operation(path: tuple[Any, ...], endings: tuple[str, ...]) -> str:
    """Return the keys of dictionaries on the way to an operation; empty outside of one.

    Other keys, those of tuples and of an optimiser's fields, differ between the trees that an operation has arrays in.
    """
    names = [str(part.key) for part in path if isinstance(part, jax.tree_util.DictKey)]
    found = [index for index, name in enumerate(names) if name.endswith(endings)]
    return "/".join(names[: found[0] + 1]) if found else ""
