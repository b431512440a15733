"""The softmax relaxation of DARTS (arXiv:1806.09055, equation 2)."""

from typing import Any

from dnas.relaxations._alpha import normal, softmaxes
from dnas.types import Alpha, Mixture, PRNGKey, Relaxation, Spec, Weights


def softmax(scale: float = 1e-3) -> Relaxation:
    """Return the relaxation whose operation weights are a softmax over each edge's row of `alpha`.

    Args:
        scale: standard deviation of the normal distribution that `alpha` starts from.
    """

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Any]:
        return normal(key, spec, scale), ()

    def expected(alpha: Alpha, state: Any) -> Weights:
        del state
        return softmaxes(alpha)

    def weights(key: PRNGKey, alpha: Alpha, state: Any) -> Mixture:
        del key
        return expected(alpha, state)

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Any) -> tuple[Alpha, Any]:
        del key, before
        return after, state

    return Relaxation(init, weights, expected, advance)
