"""Adaptive regularisation: go back to where the curvature rose and go on with more weight decay.

R-DARTS-ADA (Zela et al., arXiv:1909.09656); factor and cap are those of the reference code's search script
(automl/RobustDARTS: 10 and 0.03, with the curvature every 2 epochs; its argument defaults are 3 and 0.0243).
"""

from collections.abc import Sequence
from typing import NamedTuple

from dnas.errors import UserError
from dnas.stopping.early import curvature_rise


class Rollback(NamedTuple):
    """Where to go on from.

    Attributes:
        epoch: the epoch after which the search's state is taken up again, learning rates included.
        weight_decay: of the weights, from there on.
        eigenvalues: the history up to and with that epoch, to go on with.
    """

    epoch: int
    weight_decay: float
    eigenvalues: tuple[float, ...]


def adaptive_weight_decay(
    eigenvalues: Sequence[float],
    weight_decay: float,
    *,
    factor: float = 10.0,
    cap: float = 0.03,
    every: int = 2,
    window: int = 5,
    lag: int = 4,
    ratio: float = 1.3,
    earliest: int = 10,
) -> Rollback | None:
    """Return where to go back to, if the curvature has risen and the weight decay can still grow.

    Once the decay is at `cap` the search runs to its end, whatever the curvature does.

    Args:
        eigenvalues: the history, as in `curvature_rise`.
        weight_decay: the present one.
        factor: what it is multiplied by, more than 1.
        cap: its greatest value.
        every: as in `curvature_rise`, like the arguments that follow.
        window: measurements in a local average.
        lag: measurements between the two averages.
        ratio: greatest quotient that is taken for noise.
        earliest: epochs before this one are never returned to.

    Raises:
        UserError: if `weight_decay` is not positive or `factor` not more than 1.
    """
    if weight_decay <= 0 or factor <= 1:
        raise UserError(
            f"weight_decay and factor: expected more than 0 and more than 1, so that the decay grows, got "
            f"{weight_decay} and {factor}"
        )
    # Products such as 3e-4 * 10 * 10 fall short of the cap by rounding.
    if weight_decay >= cap * (1 - 1e-6):
        return None
    epoch = curvature_rise(eigenvalues, every=every, window=window, lag=lag, ratio=ratio, earliest=earliest)
    if epoch is None:
        return None
    return Rollback(epoch, min(factor * weight_decay, cap), tuple(eigenvalues[: epoch // every + 1]))
