"""Relaxations that treat each group's rows of `alpha` on their own, put together from what they do with the rows."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from dnas.relaxations._alpha import group_keys
from dnas.relaxations._annealing import Annealing
from dnas.types import Alpha, Array, Mixture, Paths, PRNGKey, Relaxation, Spec, Weights

Start = Callable[[PRNGKey, Spec], Alpha]
Draw = Callable[[PRNGKey, Array, Any], Array | Paths]
softmax_rows: Callable[[Array], Array] = partial(jax.nn.softmax, axis=-1)


def by_rows(
    start: Start,
    expected: Callable[[Array], Array] = softmax_rows,
    draw: Draw | None = None,
    course: Annealing | None = None,
) -> Relaxation:
    """Return the relaxation that follows nothing but its rows, `(edges, ops)`.

    Args:
        start: `(key, spec) -> alpha`.
        expected: `(rows) -> rows`, the expected operation weights.
        draw: `(key, rows, state) -> rows or Paths`, what a supernet mixes, with a key for each group; `None` takes what
            is expected.
        course: a number that moves from step to step and is the state; without it the state is `()`.
    """

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Any]:
        return start(key, spec), course.init() if course else ()

    def means(alpha: Alpha, state: Any) -> Weights:
        del state
        return {name: expected(rows) for name, rows in alpha.items()}

    def weights(key: PRNGKey, alpha: Alpha, state: Any) -> Mixture:
        if draw is None:
            return means(alpha, state)
        keys = group_keys(key, alpha)
        return {name: draw(keys[name], rows, state) for name, rows in alpha.items()}

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Any) -> tuple[Alpha, Any]:
        del key, before
        return after, course.advance(state) if course else state

    return Relaxation(init, weights, means, advance)
