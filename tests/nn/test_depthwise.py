"""Depthwise convolution against SciPy, and its own derivative against automatic and finite differences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate2d

from dnas.nn.depthwise import DepthwiseConv, depthwise_conv, grouped_depthwise

SETTINGS = list(itertools.product((3, 5, 7), (1, 2), (1, 2)))
IMAGES = [(9, 8), (2, 5)]


def direct(x: np.ndarray, kernel: np.ndarray, stride: int, dilation: int) -> np.ndarray:
    """Correlate every channel in float64 with its kernel, zeros written between the taps."""
    size = kernel.shape[0]
    reach = dilation * (size - 1) + 1
    spread = np.zeros((reach, reach, x.shape[-1]))
    spread[::dilation, ::dilation] = kernel[:, :, 0]
    pad = reach // 2
    padded = np.pad(x.astype(np.float64), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    full = [
        [correlate2d(image[:, :, c], spread[:, :, c], mode="valid") for c in range(x.shape[-1])] for image in padded
    ]
    return np.moveaxis(np.array(full), 1, -1)[:, ::stride, ::stride]


def draw(size: int, image: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(2, *image, 3)).astype(np.float32),
        rng.normal(size=(size, size, 1, 3)).astype(np.float32),
    )


def close(got: object, expected: object, tolerance: float = 1e-5) -> None:
    expected = np.asarray(expected, np.float64)
    np.testing.assert_allclose(np.asarray(got), expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize(("size", "stride", "dilation"), SETTINGS)
def test_both_forms_equal_the_direct_sum(size: int, stride: int, dilation: int, image: tuple[int, int]) -> None:
    x, kernel = draw(size, image)
    expected = direct(x, kernel, stride, dilation)
    assert expected.shape == (2, -(-image[0] // stride), -(-image[1] // stride), 3)
    close(jax.jit(depthwise_conv, static_argnums=(2, 3))(x, kernel, stride, dilation), expected)
    close(grouped_depthwise(jnp.array(x), jnp.array(kernel), stride=stride, dilation=dilation), expected)


@pytest.mark.parametrize(
    ("size", "stride", "dilation", "image"),
    [(*setting, IMAGES[0]) for setting in SETTINGS] + [(7, 2, 2, IMAGES[1]), (5, 1, 1, IMAGES[1])],
)
def test_gradients(size: int, stride: int, dilation: int, image: tuple[int, int]) -> None:
    x, kernel = draw(size, image)
    rng = np.random.default_rng(1)
    cotangent = rng.normal(size=direct(x, kernel, stride, dilation).shape).astype(np.float32)

    def own(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.sum(depthwise_conv(x, kernel, stride, dilation) * cotangent)

    def plain(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.sum(grouped_depthwise(x, kernel, stride=stride, dilation=dilation) * cotangent)

    got = jax.jit(jax.grad(own, argnums=(0, 1)))(x, kernel)
    for mine, automatic in zip(got, jax.jit(jax.grad(plain, argnums=(0, 1)))(x, kernel), strict=True):
        close(mine, automatic)

    # The map is linear in each argument, so a difference over any distance is its exact derivative.
    moved_x, moved_kernel = draw(size, image, seed=2)
    base = direct(x, kernel, stride, dilation)
    for gradient, there, here, moved in (
        (got[0], direct(moved_x, kernel, stride, dilation), x, moved_x),
        (got[1], direct(x, moved_kernel, stride, dilation), kernel, moved_kernel),
    ):
        change = np.sum((there - base) * cotangent)
        predicted = np.sum(np.asarray(gradient, np.float64) * (moved.astype(np.float64) - here))
        assert predicted == pytest.approx(change, rel=1e-4, abs=1e-3)


def test_under_vmap() -> None:
    pairs = [draw(3, (5, 4), seed) for seed in range(3)]
    x, kernel = (np.stack(parts) for parts in zip(*pairs, strict=True))

    def loss(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.sum(depthwise_conv(x, kernel, 2, 1) ** 2)

    single = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    expected = [single(*pair) for pair in pairs]
    got = jax.jit(jax.vmap(jax.value_and_grad(loss, argnums=(0, 1))))(x, kernel)
    jax.tree.map(close, got, jax.tree.map(lambda *leaves: np.stack(leaves), *expected))


def test_under_scan() -> None:
    x, _ = draw(3, (5, 4))
    kernels = np.stack([draw(3, (5, 4), seed)[1] for seed in range(3)])

    def looped(x: jax.Array, kernels: jax.Array) -> jax.Array:
        return jnp.sum(jax.lax.scan(lambda carry, kernel: (depthwise_conv(carry, kernel, 1, 2), None), x, kernels)[0])

    def unrolled(x: jax.Array, kernels: jax.Array) -> jax.Array:
        for kernel in kernels:
            x = grouped_depthwise(x, kernel, stride=1, dilation=2)
        return jnp.sum(x)

    got = jax.jit(jax.value_and_grad(looped, argnums=(0, 1)))(x, kernels)
    expected = jax.jit(jax.value_and_grad(unrolled, argnums=(0, 1)))(x, kernels)
    jax.tree.map(lambda a, b: close(a, b, 1e-4), got, expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_bfloat16_stays_bfloat16(stride: int) -> None:
    x, kernel = (jnp.asarray(array, jnp.bfloat16) for array in draw(5, (9, 8)))

    def own(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return depthwise_conv(x, kernel, stride, 1)

    output = jax.jit(own)(x, kernel)
    assert output.dtype == jnp.bfloat16
    expected = direct(np.asarray(x, np.float32), np.asarray(kernel, np.float32), stride, 1)
    close(output.astype(jnp.float32), expected, 3e-2)
    gradients = jax.grad(lambda x, kernel: own(x, kernel).astype(jnp.float32).sum(), argnums=(0, 1))(x, kernel)
    assert {gradient.dtype for gradient in gradients} == {jnp.dtype(jnp.bfloat16)}


def test_layer_has_one_float32_kernel_and_computes_in_its_dtype() -> None:
    x, _ = draw(3, (5, 4))
    layer = DepthwiseConv(3, 2, 1, jnp.bfloat16)
    output, variables = layer.init_with_output(jax.random.key(0), x)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), variables) == {
        "params": {"kernel": ((3, 3, 1, 3), jnp.dtype(jnp.float32))}
    }
    assert output.dtype == jnp.bfloat16
    close(output.astype(jnp.float32), direct(x, np.asarray(variables["params"]["kernel"]), 2, 1), 3e-2)
