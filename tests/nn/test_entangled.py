"""One convolution with a mixture of slices is the weighted sum of the separate convolutions."""

from collections.abc import Callable
from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nn.conv import convolve
from dnas.nn.depthwise import depthwise_conv
from dnas.nn.entangled import Slice, factor, mix_kernels, slice_kernel

PLAIN = {
    "sizes": ((5, 5, 4, 6), (Slice(1), Slice(3), Slice(5))),
    "widths": ((3, 3, 4, 6), (Slice(3, outputs=2), Slice(3, inputs=1), Slice(3))),
    "sizes and widths": ((5, 5, 4, 6), (Slice(3, inputs=2, outputs=5), Slice(5, inputs=4, outputs=1))),
    "dilations": ((5, 5, 4, 6), (Slice(3), Slice(3, dilation=2), Slice(5))),
}
DEPTHWISE = {
    "sizes": ((7, 7, 1, 4), (Slice(3), Slice(5), Slice(7)), 1),
    "dilated": ((5, 5, 1, 4), (Slice(3), Slice(5)), 2),
    "widths": ((5, 5, 1, 4), (Slice(3, outputs=2), Slice(5, outputs=3)), 1),
}


def draw(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), jnp.float32)


def alone(x: jax.Array, kernel: jax.Array, own: Slice, stride: int) -> jax.Array:
    """Return a candidate's convolution with XLA's own dilation, on its own channels, its other outputs filled up."""
    mine = slice_kernel(kernel, own)
    assert mine.shape == (own.size, own.size, own.inputs or kernel.shape[2], own.outputs or kernel.shape[3])
    pad = own.dilation * (own.size // 2)
    y = jax.lax.conv_general_dilated(
        x[..., : own.inputs],
        mine,
        (stride, stride),
        [(pad, pad)] * 2,
        rhs_dilation=(own.dilation, own.dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return jnp.pad(y, ((0, 0), (0, 0), (0, 0), (0, kernel.shape[3] - y.shape[-1])))


def agree(
    mixed: Callable[..., jax.Array], separate: Callable[..., jax.Array], *arguments: jax.Array, tolerance: float = 1e-4
) -> None:
    """Values and all first derivatives are equal."""

    def both(function: Callable[..., jax.Array]) -> Any:
        def value(*arguments: jax.Array) -> tuple[jax.Array, jax.Array]:
            y = function(*arguments)
            return jnp.sin(y).sum(), y

        return jax.jit(jax.value_and_grad(value, argnums=tuple(range(len(arguments))), has_aux=True))(*arguments)

    chex.assert_trees_all_close(both(mixed), both(separate), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("case", PLAIN)
def test_one_convolution_is_the_weighted_sum_of_the_separate_ones(case: str, stride: int) -> None:
    shape, slices = PLAIN[case]

    def mixed(x: jax.Array, kernel: jax.Array, weights: jax.Array) -> jax.Array:
        return convolve(x, mix_kernels(kernel, slices, weights), (stride, stride), (shape[0] // 2, shape[1] // 2))

    def separate(x: jax.Array, kernel: jax.Array, weights: jax.Array) -> jax.Array:
        return sum(weight * alone(x, kernel, own, stride) for weight, own in zip(weights, slices, strict=True))

    agree(mixed, separate, draw(2, 6, 8, shape[2]), draw(*shape), jnp.array([0.7, -0.2, 0.4])[: len(slices)])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("case", DEPTHWISE)
def test_one_depthwise_convolution_is_the_weighted_sum_of_the_separate_ones(case: str, stride: int) -> None:
    shape, slices, dilation = DEPTHWISE[case]

    def mixed(x: jax.Array, kernel: jax.Array, weights: jax.Array) -> jax.Array:
        return depthwise_conv(x, mix_kernels(kernel, slices, weights), stride, dilation)

    def separate(x: jax.Array, kernel: jax.Array, weights: jax.Array) -> jax.Array:
        total = 0.0
        for weight, own in zip(weights, slices, strict=True):
            width = own.outputs or shape[3]
            y = depthwise_conv(x[..., :width], slice_kernel(kernel, own), stride, dilation)
            total = total + weight * jnp.pad(y, ((0, 0), (0, 0), (0, 0), (0, shape[3] - width)))
        return total

    agree(mixed, separate, draw(2, 6, 8, shape[3]), draw(*shape), jnp.array([0.7, 0.2, 0.4])[: len(slices)])


def test_one_hot_weights_cut_out_a_slice_and_leave_no_derivative_outside_of_it() -> None:
    shape, slices = PLAIN["sizes and widths"]
    kernel, weights = draw(*shape), jnp.array([1.0, 0.0])
    expected = np.zeros(shape)
    expected[1:4, 1:4, :2, :5] = slice_kernel(kernel, slices[0])
    np.testing.assert_array_equal(mix_kernels(kernel, slices, weights), expected)
    slope = jax.grad(lambda kernel: mix_kernels(kernel, slices, weights).sum())(kernel)
    np.testing.assert_array_equal(slope != 0, expected != 0)


def test_sizes_and_widths_chosen_apart_are_their_outer_product() -> None:
    kernel, sizes, widths = draw(3, 3, 4, 4), jnp.array([0.3, 0.7]), jnp.array([0.6, 0.4])
    slices = [Slice(size, outputs=width) for size in (1, 3) for width in (2, 4)]
    got = mix_kernels(kernel, slices, jnp.outer(sizes, widths).ravel())
    in_turn = mix_kernels(mix_kernels(kernel, (Slice(1), Slice(3)), sizes), (Slice(3, outputs=2), Slice(3)), widths)
    np.testing.assert_allclose(got, in_turn, rtol=1e-6)


def test_the_factor_is_as_small_as_what_differs() -> None:
    weights = jnp.array([0.25, 0.5])
    np.testing.assert_array_equal(
        factor((3, 3, 8, 9), (Slice(1), Slice(3)), weights)[..., 0, 0],
        [[0.5, 0.5, 0.5], [0.5, 0.75, 0.5], [0.5, 0.5, 0.5]],
    )
    assert factor((3, 3, 8, 9), (Slice(1), Slice(3)), weights).shape == (3, 3, 1, 1)
    assert factor((3, 3, 8, 9), (Slice(3, outputs=2), Slice(3)), weights).shape == (1, 1, 1, 9)


def test_many_weights_at_once() -> None:
    shape, slices = PLAIN["sizes"]
    x, kernel, rows = draw(2, 4, 4, shape[2]), draw(*shape), draw(3, len(slices))

    def mixed(weights: jax.Array) -> jax.Array:
        return convolve(x, mix_kernels(kernel, slices, weights), (1, 1), (2, 2))

    np.testing.assert_allclose(jax.vmap(mixed)(rows), jnp.stack([mixed(row) for row in rows]), rtol=1e-4, atol=1e-4)


def test_bfloat16_kernels_keep_their_type() -> None:
    shape, slices = PLAIN["sizes"]
    kernel, weights = draw(*shape).astype(jnp.bfloat16), jnp.array([0.5, 0.25, 0.125], jnp.bfloat16)
    mixed = mix_kernels(kernel, slices, weights)
    assert mixed.dtype == jnp.bfloat16
    wide = mix_kernels(kernel.astype(jnp.float32), slices, weights.astype(jnp.float32))
    np.testing.assert_allclose(mixed.astype(jnp.float32), wide, rtol=1e-2)


@pytest.mark.parametrize(
    "own",
    [
        Slice(7),
        Slice(2),
        Slice(-1),
        Slice(3, dilation=3),
        Slice(3, dilation=0),
        Slice(3, 1, 0),
        Slice(3, 1, 5),
        Slice(3, 1, 4, 7),
    ],
    ids=str,
)
def test_a_slice_that_does_not_lie_in_the_kernel_is_refused(own: Slice, sentence: Any) -> None:
    for use in (slice_kernel, lambda kernel, own: mix_kernels(kernel, (own,), jnp.ones(1))):
        with sentence(own, "(5, 5, 4, 6)", "expected an odd size"):
            use(jnp.zeros((5, 5, 4, 6)), own)
    with sentence("(4, 4, 4, 6)"):
        partial(slice_kernel, own=Slice(3))(jnp.zeros((4, 4, 4, 6)))
