"""Full convolution with its own derivative.

XLA's CPU compiler brings a convolution into the form that its fast kernels take only outside loops. The kernel
gradient that automatic differentiation writes needs that, so under `lax.scan` it falls back to a loop over single
numbers, a hundred times slower. Here it is written in the form that is fast everywhere. Other platforms get what
automatic differentiation gives them.

So are the derivatives of that derivative, which hypergradients take: a convolution, its input gradient and its kernel
gradient are linear in each argument, and the adjoint of each is one of the other two. Where a scan is differentiated
twice, JAX (0.10) forgets the rule of what the scan computes forwards, and the two adjoints of that are slow as before.
"""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from dnas.nn.init import torch_uniform

Pair = tuple[int, int]
Map = Callable[[jax.Array], jax.Array]
LAYOUT = ("NHWC", "HWIO", "NHWC")


@partial(jax.jit, static_argnums=(2, 3))
def convolve(x: jax.Array, kernel: jax.Array, strides: Pair, padding: Pair) -> jax.Array:
    """Convolve `(N, H, W, C)` with `(h, w, C, K)`.

    Args:
        x: input.
        kernel: kernel, of the same type.
        strides: in the directions of height and width.
        padding: zeros added on both sides of height and width.

    Returns:
        `(N, (H + 2 * padding - h) // stride + 1, likewise, K)`.
    """
    return _with_own_derivative(x, kernel, strides, padding)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _with_own_derivative(x: jax.Array, kernel: jax.Array, strides: Pair, padding: Pair) -> jax.Array:
    return _convolve(x, kernel, strides, padding)


def _convolve(x: jax.Array, kernel: jax.Array, strides: Pair, padding: Pair) -> jax.Array:
    return lax.conv_general_dilated(x, kernel, strides, [(p, p) for p in padding], dimension_numbers=LAYOUT)


def _forward(
    x: jax.Array, kernel: jax.Array, strides: Pair, padding: Pair
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    by_hand = partial(_differentiable, strides=strides, padding=padding)
    automatic = partial(_convolve, strides=strides, padding=padding)
    return lax.platform_dependent(x, kernel, cpu=by_hand, default=automatic), (x, kernel)


def _backward(
    strides: Pair, padding: Pair, residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    def automatic(x: jax.Array, kernel: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        (of_x,) = jax.linear_transpose(lambda x: _convolve(x, kernel, strides, padding), x)(cotangent)
        (of_kernel,) = jax.linear_transpose(lambda kernel: _convolve(x, kernel, strides, padding), kernel)(cotangent)
        return of_x, of_kernel

    def by_hand(x: jax.Array, kernel: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        return (
            _differentiable_input_gradient(kernel, cotangent, x.shape, strides, padding),
            _differentiable_kernel_gradient(x, cotangent, kernel.shape, strides, padding),
        )

    return lax.platform_dependent(*residuals, cotangent, cpu=by_hand, default=automatic)


def _input_gradient(
    kernel: jax.Array, cotangent: jax.Array, shape: tuple[int, ...], strides: Pair, padding: Pair
) -> jax.Array:
    """Spread the cotangent by the strides and convolve it with the kernel turned by half a circle."""
    sides = []
    for axis in (0, 1):
        spread = strides[axis] * (cotangent.shape[axis + 1] - 1) + 1
        before = kernel.shape[axis] - 1 - padding[axis]
        sides.append((before, shape[axis + 1] + kernel.shape[axis] - 1 - spread - before))
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    return lax.conv_general_dilated(cotangent, turned, (1, 1), sides, lhs_dilation=strides, dimension_numbers=LAYOUT)


def _kernel_gradient(
    x: jax.Array, cotangent: jax.Array, shape: tuple[int, ...], strides: Pair, padding: Pair
) -> jax.Array:
    """Convolve the input with the cotangent as a kernel, channels and batch in exchanged roles."""
    sides = []
    for axis in (0, 1):
        spread = strides[axis] * (cotangent.shape[axis + 1] - 1) + 1
        sides.append((padding[axis], shape[axis] - 1 + spread - x.shape[axis + 1] - padding[axis]))
    turned = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        cotangent.transpose(1, 2, 0, 3),
        (1, 1),
        sides,
        rhs_dilation=strides,
        dimension_numbers=LAYOUT,
    )
    return turned.transpose(1, 2, 0, 3)


def _bilinear(function: Callable[..., jax.Array], adjoints: Callable[..., tuple[Map, Map]]) -> Callable[..., jax.Array]:
    """Give a function of two arrays and constants tangents whose transposes are the given maps, as they are written.

    Args:
        function: linear in each of its first two arguments.
        adjoints: of the same arguments: from a cotangent of the result to those of the two arrays.
    """
    nondiff = tuple(range(2, len(signature(function).parameters)))
    own = partial(jax.custom_jvp, nondiff_argnums=nondiff)(function)

    @own.defjvp
    def tangents(*arguments: Any) -> tuple[jax.Array, jax.Array]:
        *constants, pair, directions = arguments
        y = own(*pair, *constants)
        # JAX turns a transposed convolution round into the one that it came from, order of axes and all.
        turned = [jax.linear_transpose(adjoint, y) for adjoint in adjoints(*pair, *constants)]
        return y, sum(turn(direction)[0] for turn, direction in zip(turned, directions, strict=True))

    return own


def _of_convolution(x: jax.Array, kernel: jax.Array, strides: Pair, padding: Pair) -> tuple[Map, Map]:
    return (
        lambda y: _input_gradient(kernel, y, x.shape, strides, padding),
        lambda y: _kernel_gradient(x, y, kernel.shape, strides, padding),
    )


def _of_input_gradient(
    kernel: jax.Array, cotangent: jax.Array, shape: tuple[int, ...], strides: Pair, padding: Pair
) -> tuple[Map, Map]:
    return (
        lambda x: _kernel_gradient(x, cotangent, kernel.shape, strides, padding),
        lambda x: _convolve(x, kernel, strides, padding),
    )


def _of_kernel_gradient(
    x: jax.Array, cotangent: jax.Array, shape: tuple[int, ...], strides: Pair, padding: Pair
) -> tuple[Map, Map]:
    return (
        lambda kernel: _input_gradient(kernel, cotangent, x.shape, strides, padding),
        lambda kernel: _convolve(x, kernel, strides, padding),
    )


_differentiable = _bilinear(_convolve, _of_convolution)
_differentiable_input_gradient = _bilinear(_input_gradient, _of_input_gradient)
_differentiable_kernel_gradient = _bilinear(_kernel_gradient, _of_kernel_gradient)
_with_own_derivative.defvjp(_forward, _backward)


class Conv(nn.Module):
    """A convolution without bias.

    Attributes:
        features: channels K out.
        size: height and width of the kernel.
        strides: in the directions of height and width.
        padding: zeros on both sides of height and width; `None` keeps the size at stride 1 (for odd kernels).
        dtype: type of the computation; the kernel stays float32.
    """

    features: int
    size: Pair = (3, 3)
    strides: Pair = (1, 1)
    padding: Pair | None = None
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, factor: jax.Array | None = None) -> jax.Array:
        """Map `(N, H, W, C)` to `(N, H', W', features)`.

        The kernel is first multiplied by `factor`, if there is one.
        """
        kernel = self.param("kernel", torch_uniform, (*self.size, x.shape[-1], self.features))
        kernel = kernel if factor is None else kernel * factor
        padding = (self.size[0] // 2, self.size[1] // 2) if self.padding is None else self.padding
        return convolve(x.astype(self.dtype), kernel.astype(self.dtype), self.strides, padding)
