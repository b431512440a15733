"""The pools against windows taken one by one: padding, ties and derivatives."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nn.operations import operation
from dnas.nn.pool import max_pool_3x3

IMAGES = [(6, 6), (5, 8), (7, 3), (1, 2)]


def windows(x: np.ndarray, stride: int) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """List every output pixel with the input pixels under its window, row by row, padding left out."""
    height, width = x.shape[1:3]
    return [
        (
            row // stride,
            column // stride,
            [
                (i, j)
                for i in range(max(row - 1, 0), min(row + 2, height))
                for j in range(max(column - 1, 0), min(column + 2, width))
            ],
        )
        for row in range(0, height, stride)
        for column in range(0, width, stride)
    ]


def pooled(x: np.ndarray, stride: int, kind: str) -> np.ndarray:
    out = np.zeros((x.shape[0], -(-x.shape[1] // stride), -(-x.shape[2] // stride), x.shape[3]))
    for row, column, cells in windows(x, stride):
        values = np.stack([x[:, i, j] for i, j in cells])
        out[:, row, column] = values.max(axis=0) if kind == "max" else values.mean(axis=0, dtype=np.float64)
    return out


def first_winner_gradient(x: np.ndarray, cotangent: np.ndarray, stride: int) -> np.ndarray:
    gradient = np.zeros(x.shape)
    for row, column, cells in windows(x, stride):
        values = np.stack([x[:, i, j] for i, j in cells])
        for n, c in np.ndindex(x.shape[0], x.shape[3]):
            i, j = cells[int(np.argmax(values[:, n, c]))]
            gradient[n, i, j, c] += cotangent[n, row, column, c]
    return gradient


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_values_leave_padding_out(kind: str, stride: int, image: tuple[int, int]) -> None:
    # All far below zero: padding with zeros would win every maximum and shrink every mean at the border.
    x = np.random.default_rng(0).normal(-50.0, 1.0, (2, *image, 3)).astype(np.float32)
    got = operation(f"{kind}_pool_3x3")(3, stride, pool_norm=False).apply({}, x, True)
    np.testing.assert_allclose(got, pooled(x, stride, kind), rtol=1e-6)


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("ties", [False, True])
def test_maximum_passes_its_gradient_to_the_first_winner(ties: bool, stride: int, image: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *image, 3)) if not ties else rng.integers(-2, 1, (2, *image, 3))
    x = x.astype(np.float32)
    output, back = jax.vjp(lambda x: max_pool_3x3(x, stride), x)
    np.testing.assert_array_equal(output, pooled(x, stride, "max"))
    cotangent = rng.normal(size=output.shape).astype(np.float32)
    expected = first_winner_gradient(x, cotangent, stride)
    np.testing.assert_allclose(back(cotangent)[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
def test_gradient_under_vmap_and_scan_equals_automatic_differentiation(stride: int) -> None:
    x = np.random.default_rng(0).normal(size=(3, 2, 6, 5, 2)).astype(np.float32)

    def own(x: jax.Array) -> jax.Array:
        return jnp.sum(max_pool_3x3(x, stride) ** 3)

    def plain(x: jax.Array) -> jax.Array:
        return jnp.sum(nn.max_pool(x, (3, 3), strides=(stride, stride), padding=((1, 1), (1, 1))) ** 3)

    expected = np.stack([jax.grad(plain)(image) for image in x])
    np.testing.assert_allclose(jax.vmap(jax.grad(own))(x), expected, rtol=1e-5)
    scanned = jax.lax.scan(lambda carry, image: (carry, jax.grad(own)(image)), None, x)[1]
    np.testing.assert_allclose(scanned, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_bfloat16_stays_bfloat16(kind: str) -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 4, 4, 2)), jnp.bfloat16)
    output, back = jax.vjp(lambda x: operation(f"{kind}_pool_3x3")(2, 1, pool_norm=False).apply({}, x, True), x)
    assert output.dtype == back(output)[0].dtype == jnp.bfloat16
    np.testing.assert_allclose(output.astype(jnp.float32), pooled(np.asarray(x, np.float32), 1, kind), atol=2e-2)
