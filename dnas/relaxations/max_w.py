"""The Max-W regularisation of sharpDARTS (Hundt, Jain and Hager, arXiv:1903.09900)."""

from functools import partial
from typing import Any

from dnas.relaxations._alpha import normal
from dnas.relaxations._by_rows import by_rows, softmax_rows
from dnas.types import Array, PRNGKey, Relaxation


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
    return by_rows(partial(normal, scale=scale), draw=_max_w)


def _max_w(key: PRNGKey, rows: Array, state: Any) -> Array:
    del key, state
    w = softmax_rows(rows)
    # In this order the leading weight is 1 to the last bit.
    return 1.0 + (w - w.max(axis=-1, keepdims=True))
