"""Full convolution: its own derivative is that of `lax.conv_general_dilated`, in a form that is fast under scan."""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scipy.signal import correlate2d

from dnas.nn.conv import LAYOUT, Conv, convolve

SIZES = [(3, 3), (1, 1), (5, 5), (1, 7), (7, 1)]
STRIDES = [(1, 1), (2, 2), (1, 2)]
IMAGES = [(9, 8), (8, 9)]
PLAIN: dict[tuple[int, int], tuple[int, int]] = {size: (size[0] // 2, size[1] // 2) for size in SIZES}
"""Padding that keeps the image's size at stride 1."""


def library(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: tuple[int, int]) -> jax.Array:
    sides = [(side, side) for side in padding]
    return lax.conv_general_dilated(x, kernel, strides, sides, dimension_numbers=LAYOUT)


def direct(x: np.ndarray, kernel: np.ndarray, strides: tuple[int, int], padding: tuple[int, int]) -> np.ndarray:
    """Correlate every pair of channels in float64."""
    padded = np.pad(x.astype(np.float64), ((0, 0), *((side, side) for side in padding), (0, 0)))
    out = [
        [sum(correlate2d(image[..., i], kernel[..., i, o], "valid") for i in range(x.shape[-1])) for image in padded]
        for o in range(kernel.shape[-1])
    ]
    return np.moveaxis(np.array(out), 0, -1)[:, :: strides[0], :: strides[1]]


def draw(size: tuple[int, int], image: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw images of 3 channels and a kernel for 4."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(2, *image, 3)).astype(np.float32),
        rng.normal(size=(*size, 3, 4)).astype(np.float32),
    )


def pullback(function: Any, strides: Any, padding: Any, x: Any, kernel: Any, cotangent: Any) -> Any:
    """Return the output and both arguments' cotangents."""
    output, back = jax.vjp(lambda x, kernel: function(x, kernel, strides, padding), x, kernel)
    return output, *back(cotangent.astype(output.dtype))


def close(got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    expected = np.asarray(expected, np.float64)
    np.testing.assert_allclose(np.asarray(got), expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("strides", STRIDES)
@pytest.mark.parametrize("size", SIZES)
def test_output_and_both_gradients(size: tuple[int, int], strides: tuple[int, int]) -> None:
    # More padding than the kernel reaches is allowed too.
    settings = [(image, PLAIN[size]) for image in IMAGES] + [(IMAGES[0], (0, 0)), (IMAGES[1], size)]
    for image, padding in settings:
        x, kernel = draw(size, image)
        expected = direct(x, kernel, strides, padding)
        cotangent = np.random.default_rng(1).normal(size=expected.shape).astype(np.float32)

        def both(*arguments: Any, strides: Any = strides, padding: Any = padding) -> Any:
            return [pullback(function, strides, padding, *arguments) for function in (convolve, library)]

        own, automatic = jax.jit(both)(x, kernel, cotangent)
        close(own[0], expected)
        for mine, theirs in zip(own, automatic, strict=True):
            assert mine.shape == theirs.shape
            close(mine, theirs)


@pytest.mark.parametrize(
    ("size", "strides", "padding"),
    [((3, 3), (1, 1), (1, 1)), ((3, 3), (2, 2), (1, 1)), ((1, 7), (1, 2), (0, 3)), ((5, 5), (2, 1), (0, 0))],
)
def test_second_derivatives_forwards_and_backwards(
    size: tuple[int, int], strides: tuple[int, int], padding: tuple[int, int]
) -> None:
    x, kernel = draw(size, (7, 8))
    directions = draw(size, (7, 8), seed=1)

    def second(function: Any, x: Any, kernel: Any) -> Any:
        # Cubic, so that no second derivative is constant.
        def loss(x: Any, kernel: Any) -> jax.Array:
            return jnp.sum(function(x, kernel, strides, padding) ** 3)

        def along(x: Any, kernel: Any) -> jax.Array:
            gradients = jax.grad(loss, argnums=(0, 1))(x, kernel)
            return sum(jnp.vdot(*pair) for pair in zip(gradients, directions, strict=True))

        backwards = jax.grad(along, argnums=(0, 1))(x, kernel)
        forwards = jax.jvp(jax.grad(loss, argnums=(0, 1)), (x, kernel), directions)[1]
        return backwards, forwards

    own, automatic = jax.jit(lambda x, kernel: (second(convolve, x, kernel), second(library, x, kernel)))(x, kernel)
    for way in own:
        for mine, theirs in zip(way, automatic[0], strict=True):
            close(mine, theirs, 1e-4)


def test_under_vmap() -> None:
    pairs = [draw((3, 3), (5, 4), seed) for seed in range(3)]
    x, kernel = (np.stack(parts) for parts in zip(*pairs, strict=True))

    def loss(function: Any, x: Any, kernel: Any) -> Any:
        return jnp.sum(function(x, kernel, (2, 1), (1, 1)) ** 2)

    single = jax.jit(jax.value_and_grad(partial(loss, library), argnums=(0, 1)))
    expected = [single(*pair) for pair in pairs]
    got = jax.jit(jax.vmap(jax.value_and_grad(partial(loss, convolve), argnums=(0, 1))))(x, kernel)
    jax.tree.map(close, got, jax.tree.map(lambda *leaves: np.stack(leaves), *expected))


def test_under_scan() -> None:
    x, _ = draw((3, 3), (5, 4))
    kernels = np.stack([draw((3, 3), (5, 4), seed)[1][..., :3] for seed in range(3)])

    def looped(x: Any, kernels: Any) -> jax.Array:
        def turn(carry: jax.Array, kernel: jax.Array) -> tuple[jax.Array, None]:
            return convolve(carry, kernel, (1, 1), (1, 1)), None

        return jnp.sum(lax.scan(turn, x, kernels)[0] ** 2)

    def unrolled(x: Any, kernels: Any) -> jax.Array:
        for kernel in kernels:
            x = library(x, kernel, (1, 1), (1, 1))
        return jnp.sum(x**2)

    got = jax.jit(jax.value_and_grad(looped, argnums=(0, 1)))(x, kernels)
    jax.tree.map(partial(close, tolerance=1e-4), got, jax.jit(jax.value_and_grad(unrolled, argnums=(0, 1)))(x, kernels))


def layouts(function: Any, times: int) -> set[str]:
    """Return the orders of axes in the convolutions of a first or second derivative, as given to the CPU's compiler."""
    pair = draw((3, 3), (8, 8))

    def loss(pair: Any) -> jax.Array:
        return jnp.sum(function(*pair, (2, 2), (1, 1)) ** 3)

    def product(pair: Any) -> Any:
        return jax.vjp(jax.grad(loss), pair)[1](pair)

    text = jax.jit(jax.grad(loss) if times == 1 else product).trace(pair).lower(lowering_platforms=("cpu",)).as_text()
    return set(re.findall(r"dim_numbers = (\[.*?\]x\[.*?\]->\[.*?\])", text))


@pytest.mark.parametrize("times", [1, 2])
def test_derivatives_are_made_of_convolutions_in_the_order_of_axes_that_the_cpu_is_fast_at(times: int) -> None:
    fast = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"
    assert layouts(convolve, times) == {fast}
    assert layouts(library, times) > {fast}


@pytest.mark.parametrize("strides", STRIDES)
def test_bfloat16_stays_bfloat16(strides: tuple[int, int]) -> None:
    x, kernel = (jnp.asarray(array, jnp.bfloat16) for array in draw((3, 3), (9, 8)))
    exact = [np.asarray(array, np.float32) for array in (x, kernel)]

    cotangent = np.ones(direct(*exact, strides, (1, 1)).shape, np.float32)
    got = jax.jit(partial(pullback, convolve, strides, (1, 1)))(x, kernel, cotangent)
    for mine, wide in zip(got, jax.jit(partial(pullback, library, strides, (1, 1)))(*exact, cotangent), strict=True):
        assert mine.dtype == jnp.bfloat16
        close(mine.astype(jnp.float32), wide, 2e-2)


@pytest.mark.parametrize(("size", "padding"), [((3, 3), None), ((1, 7), None), ((5, 5), (0, 0)), ((3, 3), (2, 1))])
def test_layer_has_one_float32_kernel_and_computes_in_its_dtype(
    size: tuple[int, int], padding: tuple[int, int] | None
) -> None:
    x, _ = draw(size, (9, 8))
    layer = Conv(5, size, (1, 2), padding, jnp.bfloat16)
    output, variables = jax.eval_shape(lambda: layer.init_with_output(jax.random.key(0), x))
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), variables) == {
        "params": {"kernel": ((*size, 3, 5), jnp.dtype(jnp.float32))}
    }
    assert output.dtype == jnp.bfloat16
    sides = PLAIN[size] if padding is None else padding
    assert output.shape == (2, 9 + 2 * sides[0] - size[0] + 1, (8 + 2 * sides[1] - size[1]) // 2 + 1, 5)
    kernel = np.random.default_rng(2).normal(size=(*size, 3, 5)).astype(np.float32)
    output = jax.jit(layer.apply)({"params": {"kernel": kernel}}, x)
    close(output.astype(jnp.float32), direct(x, kernel, (1, 2), sides), 3e-2)


def test_kernel_starts_uniform_within_the_inverse_root_of_fan_in() -> None:
    kernel = Conv(64).init(jax.random.key(0), jnp.zeros((1, 4, 4, 16)))["params"]["kernel"]
    assert 0.95 < np.abs(kernel).max() * (9 * 16) ** 0.5 <= 1.0
