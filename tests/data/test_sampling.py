"""Which images make up which minibatch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.data.sampling import epoch_batches, random_batch, split, steps_per_epoch

KEY = jax.random.key(0)


@pytest.mark.parametrize(("size", "batch"), [(10, 5), (10, 4), (7, 7), (9, 2)])
def test_an_epoch_shows_every_image_once_and_tops_up_the_last_batch(size: int, batch: int) -> None:
    rows = np.asarray(epoch_batches(KEY, jnp.asarray(3), size, batch))
    assert rows.shape == (steps_per_epoch(size, batch), batch)
    flat = rows.ravel()
    assert sorted(flat[:size]) == list(range(size))
    assert list(flat[size:]) == list(flat[: rows.size - size])


def test_epochs_differ_and_repeat_by_key() -> None:
    first, second = (np.asarray(epoch_batches(KEY, jnp.asarray(epoch), 50, 10)) for epoch in (0, 1))
    assert (first != second).any()
    assert (first == np.asarray(epoch_batches(KEY, jnp.asarray(0), 50, 10))).all()


def test_a_random_batch_has_different_images_and_reaches_all() -> None:
    draws = np.stack([np.asarray(random_batch(KEY, jnp.asarray(step), 12, 5)) for step in range(40)])
    assert all(len(set(row)) == 5 for row in draws)
    assert set(draws.ravel()) == set(range(12))


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_split_has_every_image_once(shuffle: bool) -> None:
    train, valid = split(KEY, 11, 0.5, shuffle)
    assert len(train) == 5
    assert sorted([*np.asarray(train), *np.asarray(valid)]) == list(range(11))
    assert (list(np.asarray(train)) == list(range(5))) == (not shuffle)
