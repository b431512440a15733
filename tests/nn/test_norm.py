"""Batch norm, 1x1 convolution and sums over pixels against plain JAX and Flax: values, derivatives, statistics."""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nn.norm import BatchNorm, batch_norm
from dnas.nn.pointwise import pointwise_conv
from dnas.nn.sums import pixel_sums

SHAPE = (6, 4, 5, 3)


def draw(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(1.5, 2.0, shape), jnp.float32)


def second(function: Any, *arguments: jax.Array) -> Any:
    """The gradient of the squared length of the gradient of `function`, whose result is an array."""

    def length(*arguments: jax.Array) -> jax.Array:
        grads = jax.grad(lambda *a: jnp.sin(function(*a)).sum(), argnums=tuple(range(len(a))))(*arguments)
        return sum(jnp.square(grad).sum() for grad in grads)

    a = arguments
    return jax.grad(length, argnums=tuple(range(len(a))))(*arguments)


def plain_norm(x: jax.Array) -> jax.Array:
    return (x - x.mean(axis=(0, 1, 2))) / jnp.sqrt(x.var(axis=(0, 1, 2)) + 1e-5)


def test_batch_norm_and_its_derivatives_are_those_of_the_formula() -> None:
    x, cotangent = draw(*SHAPE), draw(*SHAPE, seed=1)
    y, mean, variance = batch_norm(x)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(variance, x.var(axis=(0, 1, 2)), rtol=1e-4)
    expected, pullback = jax.vjp(plain_norm, x)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    got = jax.vjp(lambda x: batch_norm(x)[0], x)[1](cotangent)
    chex.assert_trees_all_close(got, pullback(cotangent), rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(second(lambda x: batch_norm(x)[0], x), second(plain_norm, x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("affine", [True, False])
def test_the_layer_is_that_of_flax(affine: bool, dtype: Any) -> None:
    x = draw(*SHAPE).astype(dtype)
    ours = BatchNorm(affine, dtype)
    theirs = nn.BatchNorm(momentum=0.9, epsilon=1e-5, use_bias=affine, use_scale=affine, dtype=dtype)
    variables = ours.init(jax.random.key(0), x, True)
    chex.assert_trees_all_equal_shapes_and_dtypes(
        variables, theirs.init(jax.random.key(0), x, use_running_average=False)
    )
    chex.assert_trees_all_equal(variables["batch_stats"], {"mean": jnp.zeros(3), "var": jnp.ones(3)})
    if affine:
        variables = {**variables, "params": {"scale": jnp.array([2.0, 0.5, -1.0]), "bias": jnp.arange(3.0)}}
    close = {"rtol": 2e-2, "atol": 2e-2} if dtype == jnp.bfloat16 else {"rtol": 1e-4, "atol": 1e-5}
    for train in (True, False):
        got = ours.apply(variables, x, train, mutable=["batch_stats"])
        expected = theirs.apply(variables, x, use_running_average=not train, mutable=["batch_stats"])
        assert got[0].dtype == dtype
        chex.assert_trees_all_close(got, expected, **close)


def test_a_channel_without_variance_becomes_zero_and_not_nan() -> None:
    y, _, variance = batch_norm(jnp.full((2, 3, 3, 1), 1234.567))
    assert float(variance[0]) >= 0
    assert np.isfinite(y).all()
    assert float(jnp.abs(y).max()) < 0.1


@pytest.mark.parametrize("batch", [1, 6, 11])
def test_1x1_convolution_is_a_product_at_each_pixel(batch: int) -> None:
    x, kernel, cotangent = draw(batch, 4, 5, 3), draw(3, 7, seed=1), draw(batch, 4, 5, 7, seed=2)

    def plain(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.einsum("nhwc,ck->nhwk", x, kernel)

    expected, pullback = jax.vjp(plain, x, kernel)
    got, ours = jax.vjp(pointwise_conv, x, kernel)
    chex.assert_trees_all_close((got, ours(cotangent)), (expected, pullback(cotangent)), rtol=1e-4, atol=1e-4)
    chex.assert_trees_all_close(second(pointwise_conv, x, kernel), second(plain, x, kernel), rtol=2e-3, atol=1e-2)


def test_sums_over_pixels_keep_images_apart_in_float32() -> None:
    x = draw(*SHAPE)
    total, squares = pixel_sums(x.astype(jnp.bfloat16), x * x)
    assert total.dtype == squares.dtype == jnp.float32
    np.testing.assert_allclose(total, x.astype(jnp.bfloat16).astype(jnp.float32).sum(axis=(1, 2)), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(squares, (x * x).sum(axis=(1, 2)), rtol=1e-5)
    value, tangent = jax.jvp(lambda x: pixel_sums(x, x * x)[1], (x,), (jnp.ones_like(x),))
    np.testing.assert_allclose(value, squares, rtol=1e-5)
    np.testing.assert_allclose(tangent, 2 * x.sum(axis=(1, 2)), rtol=1e-4, atol=1e-3)
