"""Dividing the epochs of a search among stages that follow one another."""

from itertools import pairwise
from typing import NamedTuple

from dnas.errors import UserError
from dnas.optimizers import warm_up_epochs


class Stage(NamedTuple):
    """One stage of a search, in epochs counted from the search's beginning.

    Attributes:
        first: epochs before it.
        resting: epochs after which the architecture parameters move.
        last: epochs after which it is over.
    """

    first: int
    resting: int
    last: int

    @property
    def epochs(self) -> int:
        """How many epochs the stage takes."""
        return self.last - self.first

    @property
    def warm_up(self) -> int:
        """How many of its epochs the architecture parameters rest."""
        return self.resting - self.first


def stages(epochs: int, count: int, warm_up: float) -> tuple[Stage, ...]:
    """Return stages of equal length; where the epochs cannot be divided evenly, later ones are longer by one.

    Args:
        epochs: of all stages together.
        count: how many stages.
        warm_up: share of each stage's epochs at its start in which the architecture parameters rest; they move in its
            last epoch whatever the share.

    Raises:
        UserError: for fewer epochs than stages, or a share outside of [0, 1).
    """
    if epochs < count:
        raise UserError(f"epochs: expected at least {count}, one for each stage of the search, got {epochs}")
    ends = [epochs * number // count for number in range(count + 1)]
    return tuple(
        Stage(first, min(first + warm_up_epochs(warm_up, last - first), last - 1), last)
        for first, last in pairwise(ends)
    )
