"""Minibatches that the host hands to a phase, chunk by chunk, with a position that a checkpoint holds."""

from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from dnas.data.reader import Reader
from dnas.errors import UserError


class Stream:
    """Stacks minibatches of one or several readers for a program that takes a chunk of steps at once.

    A chunk may be drawn ahead of time, so that the host works while the device does; the position is that of what was
    taken, whatever is drawn ahead.
    """

    def __init__(self, readers: Any, length: int, combine: Callable[[Any], Any] = lambda drawn: drawn) -> None:
        """Make a stream at its readers' beginning.

        Args:
            readers: a pytree of readers, each of which is drawn from once a step.
            length: steps in a chunk.
            combine: `(batches) -> what a step takes`, of a tree of minibatches in place of the readers.
        """
        self._readers: list[Reader]
        self._readers, self._structure = jax.tree.flatten(readers, is_leaf=lambda leaf: isinstance(leaf, Reader))
        self._length, self._combine = length, combine
        self._ahead: deque[tuple[Any, Any]] = deque()
        self._mark = self._marks()

    def take(self, steps: int) -> Any:
        """Return the minibatches of the next `steps` steps, stacked and filled up to a chunk's length.

        Raises:
            UserError: if minibatches differ in shape, or there are none.
        """
        self.ahead(steps)
        batches, self._mark = self._ahead.popleft()
        return batches

    def ahead(self, steps: int) -> None:
        """Draw what `take` is to return next, unless that has been done."""
        if not self._ahead:
            batches = self._draw(steps)
            self._ahead.append((batches, self._marks()))

    def mark(self) -> Any:
        """Return the position after what was taken, a pytree of arrays whose shapes never change."""
        return self._mark

    def seek(self, mark: Any) -> None:
        """Go on from a position that `mark` returned."""
        self._ahead.clear()
        for reader, own in zip(self._readers, mark, strict=True):
            reader.seek(jax.tree.map(np.asarray, own))
        self._mark = mark

    def _marks(self) -> Any:
        return tuple(reader.mark() for reader in self._readers)

    def _draw(self, steps: int) -> Any:
        drawn = [[reader.read() for reader in self._readers] for _ in range(steps)]
        drawn += [drawn[-1]] * (self._length - steps)
        stacked = [stack(batches) for batches in zip(*drawn, strict=True)]
        return self._combine(jax.tree.unflatten(self._structure, stacked))


def stack(batches: Any) -> Any:
    """Return batches of equal shapes stacked along a new first axis; `UserError` where they differ."""
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(batch)] for batch in batches]
    structures = [str(jax.tree.structure(batch)) for batch in batches]
    for shape, structure in zip(shapes, structures, strict=True):
        if shape != shapes[0] or structure != structures[0]:
            raise UserError(
                f"batches that follow one another have arrays of shapes {shapes[0]} and {shape}: give all the same "
                f"structure and shapes, for instance by leaving out the smaller rest of an epoch"
            )
    return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
