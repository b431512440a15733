"""The independent sigmoids of Fair-DARTS (Chu et al., arXiv:1911.12126)."""

import jax

from dnas.relaxations._alpha import zeros
from dnas.relaxations._by_rows import by_rows
from dnas.types import Relaxation


def sigmoid() -> Relaxation:
    """Return the relaxation whose operation weights are sigmoid(alpha), each in (0, 1) whatever the others are.

    `alpha` starts at 0, so that every weight starts at 1/2, as in the authors' code (FairDARTS). The zero-one loss
    that drives the weights apart is a regulariser of its own.
    """
    return by_rows(zeros, jax.nn.sigmoid)
