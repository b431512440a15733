"""The binary gates of ProxylessNAS (Cai, Zhu and Han, arXiv:1812.00332)."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from dnas.errors import UserError, unknown
from dnas.relaxations._alpha import group_keys, normal
from dnas.relaxations._by_rows import by_rows
from dnas.relaxations._paths import straight_through
from dnas.types import Alpha, Array, Paths, PRNGKey, Relaxation, Spec

MODES = ("two", "full")


def binary_gates(mode: str = "two", scale: float = 1e-3) -> Relaxation:
    """Return the relaxation whose weights are binary: one gate an edge is open, at random.

    The derivative of gate j with respect to alpha_i is taken to be p_j (delta_ij - p_i), where p are the probabilities
    of the gates, so that dL/dalpha_i = sum_j <dL/dy, op_j(x)> p_j (delta_ij - p_i).

    In mode "full", p = softmax(alpha), and j runs over all operations of an edge, which a supernet must all compute.
    In mode "two", a pair of operations is drawn without replacement from softmax(alpha), p is that of the pair,
    renormalised, and only the pair is computed; other operations have gradient zero. After the update both entries of
    the pair are shifted so that the sum of exp(alpha) over the pair is what it was. Formulas are those of the authors'
    code (proxylessnas, `mix_op.py`), which skips the update of an edge whose open gate is the zero operation's; here,
    such an edge is updated like any other.

    A closed gate is exactly 0, so that the weights of its operation get no gradient, as if they had not been computed.

    Args:
        mode: "two" or "full".
        scale: standard deviation of the normal distribution that `alpha` starts from.

    Raises:
        UserError: for an unknown mode and, from `init`, for a group of one operation in mode "two".
    """
    if mode not in MODES:
        raise unknown("mode of binary gates", mode, MODES)

    if mode == "full":
        return by_rows(partial(normal, scale=scale), draw=_full)
    return by_rows(partial(_start, scale=scale), draw=_two)._replace(advance=_advance)


def _start(key: PRNGKey, spec: Spec, scale: float) -> Alpha:
    for name, group in spec.items():
        if len(group.ops) < 2:
            raise UserError(f"binary gates of {name!r}: expected two operations or more, got {len(group.ops)}")
    return normal(key, spec, scale)


def _advance(key: PRNGKey, before: Alpha, after: Alpha, state: Any) -> tuple[Alpha, Any]:
    keys = group_keys(key, before)
    return {name: _rescaled(keys[name], rows, after[name]) for name, rows in before.items()}, state


def _gates(key: PRNGKey, rows: Array) -> Array:
    """Open one gate an edge, drawn with probability softmax(rows)."""
    hard = jax.nn.one_hot(jax.random.categorical(key, rows, axis=-1), rows.shape[-1], dtype=rows.dtype)
    return straight_through(hard, jax.nn.softmax(rows, axis=-1))


def _full(key: PRNGKey, rows: Array, state: Any) -> Array:
    del state
    return _gates(key, rows)


def _two(key: PRNGKey, rows: Array, state: Any) -> Paths:
    del state
    key_pair, key_gate = jax.random.split(key)
    pair, chosen = _pair(key_pair, rows)
    return Paths(_gates(key_gate, jnp.where(chosen, rows, -jnp.inf)), pair)


def _pair(key: PRNGKey, rows: Array) -> tuple[Array, Array]:
    """Draw two columns an edge without replacement from softmax(rows), as indices and as a mask."""
    # The two largest of alpha plus Gumbel noise are such a draw (arXiv:1903.06059).
    pair = jax.lax.top_k(rows + jax.random.gumbel(key, rows.shape), 2)[1].astype(jnp.int32)
    return pair, jax.nn.one_hot(pair, rows.shape[-1]).sum(axis=-2) > 0


def _rescaled(key: PRNGKey, before: Array, after: Array) -> Array:
    chosen = _pair(jax.random.split(key)[0], before)[1]
    mass_before, mass_after = (jax.nn.logsumexp(rows, axis=-1, keepdims=True, where=chosen) for rows in (before, after))
    return jnp.where(chosen, after + (mass_before - mass_after), after)
