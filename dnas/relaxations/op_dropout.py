"""The grouped operation dropout of DropNAS (Hong et al., arXiv:2201.11679)."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dnas.errors import UserError
from dnas.relaxations._alpha import ABSENT, group_keys, normal, softmaxes
from dnas.types import Alpha, Array, Mixture, PRNGKey, Relaxation, Spec, Weights

FREE = ("none", "noise", "skip_connect", "max_pool_3x3", "avg_pool_3x3")
"""The operations without trained parameters."""


class Dropout(NamedTuple):
    """What operation dropout carries.

    Attributes:
        step: steps taken, int32.
        rate: present probability that a whole group would be dropped at once, float32.
        free: for each group of edges, `(ops,)` bool: whether the operation is free of parameters.
    """

    step: Array
    rate: Array
    free: Mapping[str, Array]


def op_dropout(rate: float = 3e-5, warmup: int = 0, free: tuple[str, ...] = FREE, scale: float = 1e-3) -> Relaxation:
    """Return the relaxation that drops operations at random and mixes the others by a softmax over those kept.

    On each edge the operations fall into two groups, those with parameters and those without. Each operation of a
    group of n is dropped with probability rate^(1/n), under the condition that one of its group is kept; the authors
    draw again until that is so, which has the same law. (Their code takes n = 4 for both groups, the size of each in
    the DARTS space.) A dropped operation weighs 0 and its entry of `alpha` has gradient zero.

    After the update a constant is added to the kept entries of each edge, so that their share of softmax(alpha) is
    what it was before: k = log[s / (1 - s) * sum_dropped exp(alpha) / sum_kept exp(alpha)], where s is the share before
    and the sums are of the updated entries (authors' `search_cnn.py`, `adjust_alphas`). The partial weight decay of the
    method belongs to the optimisers.

    Args:
        rate: r, the probability that a whole group would be dropped at once.
        warmup: steps at the start during which nothing is dropped.
        free: names of the operations without trained parameters.
        scale: standard deviation of the normal distribution that `alpha` starts from.

    Raises:
        UserError: for a rate outside [0, 1).
    """
    if not 0 <= rate < 1:
        raise UserError(f"rate of operation dropout: expected at least 0 and less than 1, got {rate}")

    def rate_at(step: Array) -> Array:
        return jnp.where(step < warmup, 0.0, jnp.asarray(rate, jnp.float32))

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Dropout]:
        step = jnp.zeros((), jnp.int32)
        members = {name: jnp.array([op in free for op in group.ops]) for name, group in spec.items()}
        return normal(key, spec, scale), Dropout(step, rate_at(step), members)

    def expected(alpha: Alpha, state: Dropout) -> Weights:
        del state
        return softmaxes(alpha)

    def weights(key: PRNGKey, alpha: Alpha, state: Dropout) -> Mixture:
        kept = _kept(key, alpha, state)
        return softmaxes({name: jnp.where(kept[name], rows, ABSENT) for name, rows in alpha.items()})

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Dropout) -> tuple[Alpha, Dropout]:
        kept = _kept(key, before, state)
        step = state.step + 1
        adjusted = {name: _adjusted(kept[name], rows, after[name]) for name, rows in before.items()}
        return adjusted, Dropout(step, rate_at(step), state.free)

    return Relaxation(init, weights, expected, advance)


def _kept(key: PRNGKey, alpha: Alpha, state: Dropout) -> dict[str, Array]:
    """Draw which operations are kept, `(edges, ops)` for each group of edges."""
    keys = group_keys(key, alpha)

    def draw(name: str, rows: Array) -> Array:
        key_free, key_others = jax.random.split(keys[name])
        there, free = rows > ABSENT, state.free[name]
        return _keep_some(key_free, there & free, state.rate) | _keep_some(key_others, there & ~free, state.rate)

    return {name: draw(name, rows) for name, rows in alpha.items()}


def _keep_some(key: PRNGKey, members: Array, rate: Array) -> Array:
    """Keep each member with probability 1 - rate^(1/n), given that at least one is kept.

    The first one kept has a geometric law cut off after n, and those behind it are independent of it; so nothing needs
    to be drawn twice.
    """
    key_first, key_others = jax.random.split(key)
    dropped = rate ** (1.0 / jnp.maximum(members.sum(axis=-1, keepdims=True), 1))
    rank = jnp.cumsum(members, axis=-1) - 1
    log_dropped = jnp.log(jnp.maximum(dropped, jnp.finfo(dropped.dtype).tiny))
    first = jax.random.categorical(key_first, jnp.where(members, rank * log_dropped, -jnp.inf), axis=-1)[:, None]
    columns = jnp.arange(members.shape[-1])
    chance = jax.random.uniform(key_others, members.shape) >= dropped
    return members & ((columns == first) | ((columns > first) & chance))


def _adjusted(kept: Array, before: Array, after: Array) -> Array:
    lost = ~kept & (before > ABSENT)

    def odds(rows: Array) -> Array:
        mass_kept, mass_lost = (
            jax.nn.logsumexp(jnp.where(mask, rows, ABSENT), axis=-1, keepdims=True) for mask in (kept, lost)
        )
        return mass_kept - mass_lost

    # Where nothing is lost the share is 1, whatever the update did.
    some = kept.any(axis=-1, keepdims=True) & lost.any(axis=-1, keepdims=True)
    return after + jnp.where(kept & some, odds(before) - odds(after), 0.0)
