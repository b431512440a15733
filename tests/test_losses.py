"""Losses and metrics against their definitions."""

import jax.numpy as jnp
import numpy as np
import pytest

from dnas.losses import accuracy, cross_entropy


def test_against_their_definitions() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    expected = np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, labels, strict=True)])
    assert float(cross_entropy(jnp.asarray(logits), jnp.asarray(labels))) == pytest.approx(expected, rel=1e-5)
    assert float(accuracy(jnp.asarray(logits), jnp.asarray(labels))) == pytest.approx(
        np.mean(logits.argmax(axis=1) == labels)
    )


def test_cross_entropy_is_float32_and_does_not_overflow() -> None:
    assert cross_entropy(jnp.zeros((2, 4), jnp.bfloat16), jnp.zeros(2, int)).dtype == jnp.float32
    assert float(cross_entropy(jnp.array([[1e4, -1e4]]), jnp.array([1]))) == pytest.approx(2e4)
