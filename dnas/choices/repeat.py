"""A choice of how many times a block is repeated."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import flax.linen as nn

from dnas.choices.context import Decision, decide
from dnas.choices.mixing import check_equal, dense, weighted
from dnas.choices.naming import decision_of
from dnas.errors import UserError


class Repeat(nn.Module):
    """A block, one after the other of its copies; how many is searched for.

    Every repetition has weights of its own, and choices of its own inside, except those that it shares by name. The
    deepest stack is computed in a search, and what comes out after each depth is mixed; a derived network has the
    repetitions that it keeps.

        x = Repeat(Block(64), times=(1, 2, 4))(x)

    Attributes:
        block: a module that returns what it is given, changed: one array of the same shape, if it is to be repeated.
        times: the depths that may be chosen, increasing; 0 leaves the block out.
        decision: the name under which layers share one decision; `None` decides for this place in the model alone.
    """

    block: nn.Module
    times: tuple[int, ...]
    decision: str | None = None

    @nn.compact
    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Apply the repetitions to `x`; further arguments go to each.

        Raises:
            UserError: if the depths do not increase from 0 or more, or the block changes the shape.
        """

        def block(number: int) -> Callable[..., Any]:
            # Copies under names of their own: the block itself is never called.
            copy = self.block.clone(parent=self, name=f"block_{number}")
            return lambda x: copy(x, *args, **kwargs)

        times = tuple(self.times)
        return repeated(x, times, block, lambda options: decision_of(self, self.decision, options))


def repeated(
    x: Any,
    times: tuple[int, ...],
    block: Callable[[int], Callable[[Any], Any]],
    decision: Callable[[tuple[str, ...]], Decision],
) -> Any:
    """Return `x` after as many blocks as are chosen; `decision` is made of the options' names.

    Raises:
        UserError: if the depths do not increase from 0 or more, or the block changes the shape.
    """
    check_times(times)
    own = decision(tuple(str(count) for count in times))
    verdict = decide(own)
    depth = times[verdict] if isinstance(verdict, int) else times[-1]
    values = {0: x}
    for number in range(depth):
        x = block(number)(x)
        values[number + 1] = x
    if isinstance(verdict, int):
        return x
    weights = dense(verdict)
    kept = [values[count] for count in times]
    check_equal(own, kept)
    return weighted(own, weights, kept)


def check_times(times: tuple[int, ...]) -> None:
    """Raise `UserError` unless depths increase from 0 or more."""
    if not times or times[0] < 0 or any(a >= b for a, b in pairwise(times)):
        raise UserError(f"Repeat: times is {times}, expected increasing numbers of at least 0, such as (1, 2, 4)")
