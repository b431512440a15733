"""The softmax relaxation of DARTS (arXiv:1806.09055, equation 2)."""

from functools import partial

from dnas.relaxations._alpha import normal
from dnas.relaxations._by_rows import by_rows
from dnas.types import Relaxation


def softmax(scale: float = 1e-3) -> Relaxation:
    """Return the relaxation whose operation weights are a softmax over each edge's row of `alpha`.

    Args:
        scale: standard deviation of the normal distribution that `alpha` starts from.
    """
    return by_rows(partial(normal, scale=scale))
