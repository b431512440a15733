"""Hidden states that go on from window to window, one for each stream of text.

A recurrent network reads a stream as windows of T tokens, each from the hidden state in which the one before ended.
That state is an entry of `Stats`, which a search hands from minibatch to minibatch. Since a search alternates between
two streams, the text of the weights and that of the architecture parameters, there is a state for each; and since
`apply` sees the tokens alone, they say which stream they are of: token `k` of stream `s` is the number
`s * classes + k`. The reference code (quark0/darts at f276dd3, `rnn/train_search.py`) holds two hidden states too,
beside its network.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax import lax

from dnas.errors import UserError
from dnas.types import Array, Stats

TRAIN, VALID = 0, 1
STREAMS = 2
HIDDEN = "hidden"
"""Name of the hidden states in `Stats`, `(STREAMS, B, units)` float32."""


def marked(tokens: Array, stream: int, classes: int) -> Array:
    """Return int32 `tokens` of 0..`classes` - 1 as those of a stream, `TRAIN` or `VALID`."""
    return tokens + stream * classes


def begin(stats: Mapping[str, Any], columns: int) -> dict[str, Any]:
    """Return `stats` before the first window of every stream, for minibatches of that many columns of text."""
    hidden = stats[HIDDEN]
    return {**stats, HIDDEN: jnp.zeros((STREAMS, columns, hidden.shape[-1]), hidden.dtype)}


def read(stats: Stats, x: Array, classes: int) -> tuple[Array, Array]:
    """Return the plain tokens of a window `x` (B, T), and the hidden state `(B, units)` in which it begins.

    Raises:
        UserError: if the hidden state is of another number of columns.
    """
    columns = stats[HIDDEN].shape[1]
    if x.shape[0] != columns:
        raise UserError(
            f"a window of {x.shape[0]} columns meets a hidden state of {columns}: give as many as at the "
            f"beginning, or begin anew with search_spaces.rnn.begin"
        )
    return x % classes, stats[HIDDEN][x[:, 0] // classes, jnp.arange(columns)]


def write(stats: Stats, x: Array, classes: int, hidden: Array) -> Array:
    """Return all hidden states once window `x` has ended in `hidden` (B, units); no derivative goes on from there."""
    ended = lax.stop_gradient(hidden).astype(stats[HIDDEN].dtype)
    return stats[HIDDEN].at[x[:, 0] // classes, jnp.arange(x.shape[0])].set(ended)
