"""A search method of one's own from existing parts and one new relaxation: a softmax that cools down.

dnas search --method experiments.own_method:cooled_darts
"""

import jax.numpy as jnp

from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection import top_edges
from dnas.types import Relaxation, Search, SearchSpace


def cooled(steps: int, coldest: float) -> Relaxation:
    """Return the softmax of `alpha / temperature`, with a temperature that falls from 1 over `steps` steps."""
    plain = softmax()

    def expected(alpha, step):
        temperature = jnp.maximum(1 - (1 - coldest) * step / steps, coldest)
        return plain.expected({name: rows / temperature for name, rows in alpha.items()}, ())

    return Relaxation(
        init=lambda key, spec: (plain.init(key, spec)[0], jnp.zeros(())),
        weights=lambda key, alpha, step: expected(alpha, step),
        expected=expected,
        advance=lambda key, before, after, step: (after, step + 1),
    )


def cooled_darts(space: SearchSpace, *, epochs: int = 50, steps_per_epoch: int, coldest: float = 0.1) -> Search:
    """Return first-order DARTS with a softmax that cools down.

    Args:
        space: the space to search.
        epochs: length of the search.
        steps_per_epoch: steps in an epoch.
        coldest: the last temperature.
    """
    relaxation = cooled(epochs * steps_per_epoch, coldest)
    rate = cosine_by_epoch(0.025, 0.001, epochs, steps_per_epoch)
    weights, alpha = clipped_sgd(rate, 0.9, 3e-4, 5.0), l2_adam(3e-4, 0.5, 0.999, 1e-3)
    return compose(space, relaxation, first_order(), top_edges, weights, alpha)
