"""The Max-W regularisation of sharpDARTS (Hundt, Jain and Hager, arXiv:1903.09900)."""

from typing import Any

from dnas.relaxations._alpha import normal, softmaxes
from dnas.types import Alpha, Mixture, PRNGKey, Relaxation, Spec, Weights


def max_w(scale: float = 1e-3) -> Relaxation:
    """Return the relaxation whose weights are 1 - max_j w_j + w_i, where w = softmax(alpha) on each edge.

    The leading operation weighs exactly 1 at every time, and pushes nothing through a weight of its own: its weight
    has no derivative. The maximum is differentiated, as the authors' code does against what its comment says
    (sharpDARTS, `model_search.py`).

    `expected` is softmax(alpha), on which that code selects too: with a leading weight of 1 on every edge, Max-W's
    own weights say nothing of which edge is strong.

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
        # In this order the leading weight is 1 to the last bit.
        return {name: 1.0 + (w - w.max(axis=-1, keepdims=True)) for name, w in expected(alpha, state).items()}

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Any) -> tuple[Alpha, Any]:
        del key, before
        return after, state

    return Relaxation(init, weights, expected, advance)
