"""Losses and metrics against their definitions."""

import jax.numpy as jnp
import numpy as np
import pytest

from dnas.losses import accuracy, bits, cross_entropy, perplexity


def test_against_their_definitions() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    expected = np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, labels, strict=True)])
    assert float(cross_entropy(jnp.asarray(logits), jnp.asarray(labels))) == pytest.approx(expected, rel=1e-5)
    assert float(accuracy(jnp.asarray(logits), jnp.asarray(labels))) == pytest.approx(
        np.mean(logits.argmax(axis=1) == labels)
    )


def test_windows_of_labels_count_as_so_many_single_ones() -> None:
    rng = np.random.default_rng(1)
    logits, labels = jnp.asarray(rng.normal(size=(3, 5, 4))), jnp.asarray(rng.integers(0, 4, (3, 5)))
    for measure in (cross_entropy, accuracy):
        flat = measure(logits.reshape(15, 4), labels.reshape(15))
        np.testing.assert_allclose(measure(logits, labels), flat, rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 65, 10000])
def test_a_uniform_predictor_needs_the_logarithm_of_the_vocabulary(classes: int) -> None:
    nats = cross_entropy(jnp.full((2, 3, classes), 7.0), jnp.zeros((2, 3), int))
    assert float(bits(nats)) == pytest.approx(np.log2(classes), rel=1e-5)
    assert float(perplexity(nats)) == pytest.approx(classes, rel=1e-4)


def test_cross_entropy_is_float32_and_does_not_overflow() -> None:
    assert cross_entropy(jnp.zeros((2, 4), jnp.bfloat16), jnp.zeros(2, int)).dtype == jnp.float32
    assert float(cross_entropy(jnp.array([[1e4, -1e4]]), jnp.array([1]))) == pytest.approx(2e4)
