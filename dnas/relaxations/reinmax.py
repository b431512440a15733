"""ReinMax, a straight-through gradient of second order (Liu et al., arXiv:2304.08612)."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from dnas.errors import UserError
from dnas.relaxations._alpha import normal
from dnas.relaxations._by_rows import by_rows
from dnas.relaxations._paths import one_path
from dnas.types import Array, Paths, PRNGKey, Relaxation


def reinmax(temperature: float = 1.0, scale: float = 1e-3) -> Relaxation:
    """Return the relaxation that computes one operation an edge, drawn with probability p = softmax(alpha).

    With the one-hot draw D, q = (softmax(alpha / temperature) + D) / 2, and J(p) = diag(p) - p p', the gradient g for
    the weights gives `alpha` the gradient 2 J(q) g - J(p) g / 2: Heun's step, where the straight-through J(p) g is
    Euler's. The formula is that of the authors' code (microsoft/ReinMax, `reinmax.py`). At temperature 1 its mean over
    the draws is the exact gradient of the expected loss, for a loss that is quadratic in the weights.

    A supernet computes the active operation k only: g_k is <dL/dy, op_k(x)>, and inactive columns have gradient zero,
    which leaves g_k (D - p) / 2 at temperature 1. The exactness above needs all of g, and goes with it.

    Args:
        temperature: of the softmax within q, at least 1; the draw itself has temperature 1.
        scale: standard deviation of the normal distribution that `alpha` starts from.

    Raises:
        UserError: for a temperature below 1, to which the authors' code objects too.
    """
    if not temperature >= 1:
        raise UserError(f"temperature: expected at least 1 for ReinMax, got {temperature}")
    return by_rows(partial(normal, scale=scale), draw=partial(_draw, temperature))


def _draw(temperature: float, key: PRNGKey, rows: Array, state: Any) -> Paths:
    del state
    column = jax.random.categorical(key, rows, axis=-1)
    hard = jax.nn.one_hot(column, rows.shape[-1], dtype=rows.dtype)
    middle = jax.lax.stop_gradient(0.5 * (jax.nn.softmax(rows / temperature, axis=-1) + hard))
    # A softmax whose value is `middle`, and whose derivative with respect to `rows` is therefore J(middle).
    logits = jnp.log(jnp.maximum(middle, jnp.finfo(rows.dtype).tiny))
    heun = jax.nn.softmax(logits + (rows - jax.lax.stop_gradient(rows)), axis=-1)
    return one_path(column, 2.0 * heun - 0.5 * jax.nn.softmax(rows, axis=-1))
