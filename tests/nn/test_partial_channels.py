"""Partial channel connections: what goes through, what goes past, and the shuffle."""

import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nn.partial_channels import divide, join


def test_the_shuffle_takes_turns_among_the_parts() -> None:
    x = jnp.arange(8.0)[None, None, None]
    own, rest = divide(x, 4, 1)
    np.testing.assert_array_equal(np.ravel(join(own, rest, 4)), [0, 2, 4, 6, 1, 3, 5, 7])


@pytest.mark.parametrize("parts", [2, 4])
def test_divided_and_joined_channels_are_those_of_the_state(parts: int) -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 8)), jnp.float32)
    own, rest = divide(x, parts, 1)
    assert own.shape[-1] == 8 // parts
    np.testing.assert_array_equal(np.sort(join(own, rest, parts), axis=-1), np.sort(x, axis=-1))


def test_with_stride_2_the_rest_is_pooled() -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 6, 8)), jnp.float32)
    own, rest = divide(x, 4, 2)
    assert own.shape == (2, 4, 6, 2)
    expected = np.asarray(x)[..., 2:].reshape(2, 2, 2, 3, 2, 6).max(axis=(2, 4))
    np.testing.assert_array_equal(rest, expected)
