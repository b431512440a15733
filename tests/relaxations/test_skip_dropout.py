"""Dropout on skip connections: unbiased, at the rate asked for, and on nothing else."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.methods.p_darts import dropout_rate
from dnas.relaxations import gdas, masked, skip_dropout, softmax
from dnas.stages import Stage
from dnas.types import Group

ROWS = np.array([[0.3, -0.2, 1.0, 0.1], [2.0, 0.5, -1.0, 0.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
SKIP = 1


def test_skips_are_dropped_at_the_rate_and_keep_their_mean(on_edges: Callable, agree: Callable) -> None:
    edge = on_edges(skip_dropout(softmax(), 0.3), 3)
    weights = np.asarray(edge.draw(ROWS, 2000))
    plain = np.asarray(jax.nn.softmax(ROWS))
    skip = weights[..., SKIP]
    np.testing.assert_allclose(skip, np.where(skip > 0, plain[:, SKIP] / 0.7, 0), rtol=1e-5)
    np.testing.assert_array_equal(
        np.delete(weights, SKIP, -1), np.broadcast_to(np.delete(plain, SKIP, -1), (2000, 3, 3))
    )
    agree([(skip == 0).sum(), (skip > 0).sum()], [0.3, 0.7])
    # Edges are drawn apart.
    agree(np.bincount((skip == 0).sum(axis=1), minlength=4), [0.343, 0.441, 0.189, 0.027])
    np.testing.assert_array_equal(edge.expected(ROWS), plain)


def test_the_rate_follows_the_steps(on_edges: Callable) -> None:
    edge = on_edges(skip_dropout(rate=lambda step: jnp.where(step < 2, 0.0, 0.9)), 3)
    for steps, low, high in ((0, 0.0, 0.0), (1, 0.0, 0.0), (2, 0.85, 0.95)):
        assert low <= (np.asarray(edge.later(steps).draw(ROWS, 200))[..., SKIP] == 0).mean() <= high


def test_only_skips_on_computed_paths_change(on_edges: Callable) -> None:
    edge = on_edges(skip_dropout(gdas(), 0.5), 3)
    drawn = edge.draw(ROWS, 400)
    plain = on_edges(gdas(), 3).draw(ROWS, 1)
    assert drawn.active.shape == (400, *plain.active.shape[1:])
    taken = np.take_along_axis(np.asarray(drawn.weights), np.asarray(drawn.active), -1)[..., 0]
    skips = np.asarray(drawn.active)[..., 0] == SKIP
    assert set(np.unique(taken[~skips])) == {1.0}
    assert set(np.unique(taken[skips])) == {0.0, 2.0}
    # Where there is no skip connection nothing happens, and one that is not allowed stays away.
    none = on_edges(skip_dropout(), 3, ("none", "a", "b", "c"))
    np.testing.assert_array_equal(none.weights(jax.random.key(0), ROWS), jax.nn.softmax(ROWS))
    relaxation = masked(skip_dropout(), {"g": np.arange(4) != np.full((3, 1), SKIP)})
    _, state = relaxation.init(jax.random.key(0), {"g": Group(3, ("none", "skip_connect", "b", "c"))})
    rows = relaxation.weights(jax.random.key(0), {"g": jnp.asarray(ROWS)}, state)["g"]
    np.testing.assert_array_equal(np.asarray(rows)[:, SKIP], 0)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("initial", [0.1, 0.7])
def test_p_darts_rate_is_the_published_one(initial: float) -> None:
    rate = dropout_rate(initial, Stage(25, 35, 50), 3)
    for epoch in range(25):
        published = initial * ((25 - epoch - 1) / 25 if epoch < 10 else np.exp(-(epoch - 10) * 0.2))
        for step in (0, 2):
            assert float(rate(jnp.asarray(3 * epoch + step))) == pytest.approx(published, rel=1e-5)


def test_a_rate_that_is_no_probability_is_refused(sentence: Any) -> None:
    with sentence("rate", 1.0):
        skip_dropout(rate=1.0)
