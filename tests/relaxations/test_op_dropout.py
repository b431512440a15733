"""DropNAS: which operations are dropped, how the rest is mixed, and the adjustment after an update."""

from collections.abc import Callable
from itertools import product
from typing import Any

import jax
import numpy as np
import pytest

from dnas.relaxations import op_dropout

OPS = ("sep_conv_3x3", "none", "skip_connect", "dil_conv_3x3", "max_pool_3x3", "sep_conv_5x5", "sep_conv_7x7")
FREE = np.array([False, True, True, False, True, False, False])
RATE = 0.2
ROWS = np.asarray(jax.random.normal(jax.random.key(1), (1, 7)))


@pytest.fixture
def edge(on_edges: Callable) -> Any:
    return on_edges(op_dropout(RATE), ops=OPS)


@pytest.mark.parametrize("free", [True, False])
def test_each_group_drops_independently_but_never_as_a_whole(free: bool, edge: Any, agree: Callable) -> None:
    kept = np.asarray(edge.draw(ROWS, 6000))[:, 0][:, free == FREE] > 0
    size = kept.shape[1]
    drop = RATE ** (1 / size)
    patterns = [pattern for pattern in product([False, True], repeat=size) if any(pattern)]
    law = [drop ** (size - sum(p)) * (1 - drop) ** sum(p) / (1 - RATE) for p in patterns]
    agree([(kept == pattern).all(axis=-1).sum() for pattern in patterns], law)


def test_groups_drop_independently_of_each_other(edge: Any, agree: Callable) -> None:
    kept = np.asarray(edge.draw(ROWS, 4000, seed=1))[:, 0] > 0
    first, second = kept[:, 0], kept[:, 1]
    joint = [((first == a) & (second == b)).mean() for a, b in product([False, True], repeat=2)]
    a, b = first.mean(), second.mean()
    agree(4000 * np.array(joint), [(1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b])


def test_kept_operations_are_mixed_by_their_own_softmax(edge: Any) -> None:
    slopes = np.arange(7.0)
    drawn, jacobians = edge.jacobians(ROWS, 20)
    for weights, jacobian in zip(drawn[:, 0], jacobians[:, 0], strict=True):
        gradient = slopes @ jacobian
        kept = weights > 0
        own = np.exp(ROWS[0, kept]) / np.exp(ROWS[0, kept]).sum()
        np.testing.assert_allclose(weights[kept], own, rtol=1e-5)
        np.testing.assert_array_equal(gradient[~kept], 0)
        np.testing.assert_allclose(gradient[kept], own * (slopes[kept] - own @ slopes[kept]), rtol=1e-3, atol=1e-5)


def test_the_kept_operations_hold_the_share_that_they_had(on_edges: Callable) -> None:
    edge, key = on_edges(op_dropout(0.003), edges=60, ops=OPS), jax.random.key(5)
    before = jax.random.normal(jax.random.key(2), (60, 7))
    after = before + 0.5 * jax.random.normal(jax.random.key(3), before.shape)
    kept = np.asarray(jax.jit(edge.weights)(key, before)) > 0
    adjusted = edge.advance(key, before, after)
    shares = [np.where(kept, jax.nn.softmax(rows), 0).sum(axis=-1) for rows in (before, adjusted, after)]
    np.testing.assert_allclose(shares[1], shares[0], rtol=1e-5)
    some = ~kept.all(axis=-1)
    assert 0 < some.sum() < 60
    assert (np.abs(shares[2] - shares[0])[some] > 1e-6).all()
    # Kept entries are shifted together, and the others are as the update left them.
    shift = np.asarray(adjusted - after)
    np.testing.assert_array_equal(shift[~kept], 0)
    for row, own in zip(shift, kept, strict=True):
        assert np.ptp(row[own]) < 1e-5
    np.testing.assert_array_equal(shift[~some], 0)


def test_nothing_is_dropped_in_the_warm_up(on_edges: Callable) -> None:
    edge = on_edges(op_dropout(0.9, warmup=2), edges=20, ops=OPS)
    rows = np.zeros((20, 7), np.float32)
    advance, draw = jax.jit(edge.relaxation.advance), jax.jit(edge.relaxation.weights)
    state = edge.state
    for rate in (0.0, 0.0, 0.9, 0.9):
        assert float(state.rate) == pytest.approx(rate)
        assert (np.asarray(draw(jax.random.key(1), {"g": rows}, state)["g"]) == 0).any() == (rate > 0)
        _, state = advance(jax.random.key(0), {"g": rows}, {"g": rows}, state)


def test_the_published_rate_drops_seven_percent_of_four(on_edges: Callable) -> None:
    four = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
    dropped = np.asarray(on_edges(op_dropout(), edges=50, ops=four).draw(np.zeros((50, 4), np.float32), 100)) == 0
    assert dropped.mean() == pytest.approx(0.074, abs=0.006)


def test_bad_rates(sentence: Callable) -> None:
    with sentence("dropout", "less than 1", 1.0):
        op_dropout(1.0)
