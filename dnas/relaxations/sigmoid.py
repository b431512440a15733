"""The independent sigmoids of Fair-DARTS (Chu et al., arXiv:1911.12126)."""

from typing import Any

import jax

from dnas.relaxations._alpha import zeros
from dnas.types import Alpha, Mixture, PRNGKey, Relaxation, Spec, Weights


def sigmoid() -> Relaxation:
    """Return the relaxation whose operation weights are sigmoid(alpha), each in (0, 1) whatever the others are.

    `alpha` starts at 0, so that every weight starts at 1/2, as in the authors' code (FairDARTS). The zero-one loss
    that drives the weights apart is a regulariser of its own.
    """

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Any]:
        del key
        return zeros(spec), ()

    def expected(alpha: Alpha, state: Any) -> Weights:
        del state
        return {name: jax.nn.sigmoid(rows) for name, rows in alpha.items()}

    def weights(key: PRNGKey, alpha: Alpha, state: Any) -> Mixture:
        del key
        return expected(alpha, state)

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Any) -> tuple[Alpha, Any]:
        del key, before
        return after, state

    return Relaxation(init, weights, expected, advance)
