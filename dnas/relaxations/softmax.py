"""The softmax relaxation of DARTS (arXiv:1806.09055, equation 2)."""

from typing import Any

import jax

from dnas.types import Alpha, Mixture, PRNGKey, Relaxation, Spec, Weights


def softmax(scale: float = 1e-3) -> Relaxation:
    """Return the relaxation whose operation weights are a softmax over each edge's row of `alpha`.

    Args:
        scale: standard deviation of the normal distribution that `alpha` starts from.
    """

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Any]:
        keys = dict(zip(spec, jax.random.split(key, len(spec)), strict=True))
        return {
            name: scale * jax.random.normal(keys[name], (group.edges, len(group.ops))) for name, group in spec.items()
        }, ()

    def expected(alpha: Alpha, state: Any) -> Weights:
        del state
        return {name: jax.nn.softmax(rows, axis=-1) for name, rows in alpha.items()}

    def weights(key: PRNGKey, alpha: Alpha, state: Any) -> Mixture:
        del key
        return expected(alpha, state)

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Any) -> tuple[Alpha, Any]:
        del key, before
        return after, state

    return Relaxation(init, weights, expected, advance)
