"""Epochs over a text, each one program: windows follow each other under a scan, from the beginning of all columns."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

from dnas.data.text import window, windows
from dnas.losses import cross_entropy
from dnas.train import Training, TrainState
from dnas.types import Array, Batch, Batches, Search, SearchState, Stats, Variables
from search_spaces.rnn.streams import TRAIN, VALID, begin, marked


def search_epoch(search: Search, classes: int, length: int) -> Callable[..., tuple[SearchState, Array]]:
    """Return `(state, train, valid) -> (state, mean training loss)`: one step for each window of the training columns.

    The windows of validation come in turn, again from the first after the last, and their hidden state goes on, as in
    the reference code. Both hidden states begin at 0 with the epoch.
    """

    def epoch(state: SearchState, train: Array, valid: Array) -> tuple[SearchState, Array]:
        state = state._replace(stats=begin(state.stats, train.shape[0]))

        def batch(columns: Array, index: Array, stream: int) -> Batch:
            x, y = window(columns, index, length)
            return Batch(marked(x, stream, classes), y)

        def turn(state: SearchState, index: Array) -> tuple[SearchState, Array]:
            other = batch(valid, index % windows(valid, length), VALID)
            batches = Batches(batch(train, index, TRAIN), other)
            state, info = search.step(state, batches)
            return state, info.train_loss

        state, losses = lax.scan(turn, state, jnp.arange(windows(train, length)))
        return state, losses.mean()

    return epoch


def train_epoch(training: Training, length: int) -> Callable[..., tuple[TrainState, Array]]:
    """Return `(state, columns) -> (state, mean training loss)`: one step for each window."""

    def epoch(state: TrainState, columns: Array) -> tuple[TrainState, Array]:
        state = state._replace(stats=begin(state.stats, columns.shape[0]))

        def turn(state: TrainState, index: Array) -> tuple[TrainState, Array]:
            state, info = training.step(state, Batch(*window(columns, index, length)))
            return state, info.train_loss

        state, losses = lax.scan(turn, state, jnp.arange(windows(columns, length)))
        return state, losses.mean()

    return epoch


def evaluation(apply: Callable[..., tuple[Array, Stats]], length: int) -> Callable[..., Array]:
    """Return `(variables, columns, *more) -> nats`, the mean cross entropy over all windows.

    Args:
        apply: `(variables, x, *more) -> (logits, stats)`.
        length: tokens of a window.
    """

    def evaluate(variables: Variables, columns: Array, *more: Any) -> Array:
        def turn(stats: Stats, index: Array) -> tuple[Stats, Array]:
            x, y = window(columns, index, length)
            logits, stats = apply(Variables(variables.params, stats), x, *more)
            return stats, cross_entropy(logits, y)

        stats = begin(variables.stats, columns.shape[0])
        return lax.scan(turn, stats, jnp.arange(windows(columns, length)))[1].mean()

    return evaluate
