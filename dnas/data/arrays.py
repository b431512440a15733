"""Data as arrays, or pytrees of arrays, with a division into training and validation examples given or made."""

from typing import Any, NamedTuple

import jax
import numpy as np

from dnas.data.trees import arrays_of, examples, rows
from dnas.errors import UserError
from dnas.types import Batch


class Arrays(NamedTuple):
    """Examples in memory, as NumPy arrays.

    Attributes:
        train: examples for the weights.
        valid: examples for the architecture parameters, of the same structure, shapes and types.
        test: examples for the last test; `None` where there are none.
    """

    train: Batch
    valid: Batch
    test: Batch | None


def arrays(
    x: Any,
    y: Any,
    *,
    valid: tuple[Any, Any] | None = None,
    test: tuple[Any, Any] | None = None,
    valid_share: float = 0.25,
    seed: int = 0,
) -> Arrays:
    """Return data that are arrays: inputs and targets, each an array or any pytree of arrays, examples first.

    Args:
        x: inputs, `(N, ...)`; they reach the network as they are, so normalise them before.
        y: targets, `(N, ...)`.
        valid: inputs and targets of the validation examples; `None` takes them from `x` and `y` at random.
        test: inputs and targets of the examples for the last test.
        valid_share: share of the examples that is taken for validation where `valid` is not given; at least one is
            taken, and one left.
        seed: of that division.

    Raises:
        UserError: for inputs and targets of different lengths, no examples, parts of different shapes, or a share that
            is not between 0 and 1.
    """
    train = _part("training data", x, y)
    if valid is None:
        train, other = _divided(train, valid_share, seed)
    else:
        other = _like(train, _part("validation data", *valid), "validation data")
    return Arrays(train, other, None if test is None else _like(train, _part("test data", *test), "test data"))


def _part(what: str, x: Any, y: Any) -> Batch:
    batch = Batch(arrays_of(f"{what}: x", x), arrays_of(f"{what}: y", y))
    counts = [examples(f"{what}: {name}", tree) for name, tree in (("x", batch.x), ("y", batch.y))]
    if counts[0] != counts[1]:
        raise UserError(f"{what}: {counts[0]} inputs in x but {counts[1]} targets in y: give one target an input")
    return batch


def _divided(whole: Batch, share: float, seed: int) -> tuple[Batch, Batch]:
    if not 0 < share < 1:
        raise UserError(f"valid_share is {share}, expected a share between 0 and 1: choose one such as 0.25")
    count = examples("x", whole.x)
    if count < 2:
        raise UserError(f"training data: {count} example cannot be divided in two: give more, or give valid")
    order = np.random.default_rng(seed).permutation(count)
    border = count - min(max(1, round(share * count)), count - 1)
    # In their own order: which examples are in a part is chance, how they lie there is not.
    return rows(whole, np.sort(order[:border])), rows(whole, np.sort(order[border:]))


def _like(train: Batch, other: Batch, what: str) -> Batch:
    """Return `other` with the types of `train`, once their structures and shapes agree."""
    if str(jax.tree.structure(train)) != str(jax.tree.structure(other)):
        raise UserError(f"{what} have another structure than the training data: give both the same pytrees")
    for one, two in zip(jax.tree.leaves(train), jax.tree.leaves(other), strict=True):
        if one.shape[1:] != two.shape[1:]:
            raise UserError(
                f"{what} have examples of shape {two.shape[1:]}, the training data of {one.shape[1:]}: give both the "
                f"same shape"
            )
    typed: Batch = jax.tree.map(lambda one, two: two.astype(one.dtype), train, other)
    return typed
