"""Depthwise convolution with its own derivative, chosen per platform.

XLA's grouped convolution is several times slower on CPU than memory allows, and differentiating shifted slices
automatically keeps one padded copy per tap. Here the CPU path sums shifted multiply-adds (one fused loop), its input
gradient is the same sum with the kernel turned round, and its kernel gradient reduces all taps in one pass. Other
platforms use `lax.conv_general_dilated`. Both compute the same numbers to float tolerance.
"""

from functools import partial, reduce
from operator import add

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from dnas.nn.init import torch_uniform
from dnas.nn.sums import pixel_sums


@partial(jax.jit, static_argnums=(2, 3))
def depthwise_conv(x: jax.Array, kernel: jax.Array, stride: int = 1, dilation: int = 1) -> jax.Array:
    """Convolve each channel with its own odd-sized kernel, padded so that the output has ceil(size / stride) pixels.

    Args:
        x: `(N, H, W, C)` input.
        kernel: `(k, k, 1, C)`, k odd.
        stride: step between output pixels.
        dilation: step between kernel taps.

    Returns:
        `(N, ceil(H / stride), ceil(W / stride), C)`.
    """
    return _depthwise_conv(x, kernel, stride, dilation)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _depthwise_conv(x: jax.Array, kernel: jax.Array, stride: int, dilation: int) -> jax.Array:
    return _convolve(x, kernel, stride, dilation)


def _convolve(x: jax.Array, kernel: jax.Array, stride: int, dilation: int) -> jax.Array:
    return lax.platform_dependent(
        x,
        kernel,
        cpu=partial(shifted_depthwise, stride=stride, dilation=dilation),
        default=partial(grouped_depthwise, stride=stride, dilation=dilation),
    )


def grouped_depthwise(x: jax.Array, kernel: jax.Array, *, stride: int, dilation: int) -> jax.Array:
    """The plain form: XLA's convolution with one group for each channel. The reference for the CPU form."""
    pad = dilation * (kernel.shape[0] // 2)
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def shifted_depthwise(x: jax.Array, kernel: jax.Array, *, stride: int, dilation: int) -> jax.Array:
    """The CPU form: a sum of shifted slices of the padded input, each times one tap."""
    pad = dilation * (kernel.shape[0] // 2)
    padded = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    height, width = (-(-length // stride) for length in x.shape[1:3])
    return _sum_of_taps(padded, kernel, height, width, stride, dilation)


def _sum_of_taps(
    padded: jax.Array, kernel: jax.Array, height: int, width: int, stride: int, dilation: int
) -> jax.Array:
    size = kernel.shape[0]
    windows = _windows(padded, size, height, width, stride, dilation)
    terms = [window * kernel[tap // size, tap % size, 0] for tap, window in enumerate(windows)]
    return reduce(add, terms)


def _windows(padded: jax.Array, size: int, height: int, width: int, stride: int, dilation: int) -> list[jax.Array]:
    """Return what each tap of the kernel meets, row by row."""
    return [
        lax.slice(
            padded,
            (0, top, left, 0),
            (padded.shape[0], top + stride * (height - 1) + 1, left + stride * (width - 1) + 1, padded.shape[3]),
            (1, stride, stride, 1),
        )
        for top in range(0, size * dilation, dilation)
        for left in range(0, size * dilation, dilation)
    ]


def _forward(
    x: jax.Array, kernel: jax.Array, stride: int, dilation: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    # Not by `depthwise_conv`: JAX 0.10 loses its way when that is differentiated twice in a scan.
    return _convolve(x, kernel, stride, dilation), (x, kernel)


def _backward(
    stride: int, dilation: int, residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    def shifted(x: jax.Array, kernel: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        return (
            _input_gradient(stride, dilation, x, kernel, cotangent),
            _kernel_gradient(stride, dilation, x, kernel, cotangent),
        )

    def grouped(x: jax.Array, kernel: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        plain = partial(grouped_depthwise, stride=stride, dilation=dilation)
        return jax.vjp(plain, x, kernel)[1](cotangent)

    return lax.platform_dependent(*residuals, cotangent, cpu=shifted, default=grouped)


def _input_gradient(stride: int, dilation: int, x: jax.Array, kernel: jax.Array, cotangent: jax.Array) -> jax.Array:
    reach = dilation * (kernel.shape[0] - 1)
    pad = reach // 2
    spread = []
    for length, out in zip(x.shape[1:3], cotangent.shape[1:3], strict=True):
        low = reach - pad
        high = length + reach - low - (stride * (out - 1) + 1)
        spread.append((low, high, stride - 1))
    padded = lax.pad(cotangent, jnp.zeros((), cotangent.dtype), ((0, 0, 0), *spread, (0, 0, 0)))
    return _sum_of_taps(padded, kernel[::-1, ::-1], x.shape[1], x.shape[2], 1, dilation)


def _kernel_gradient(stride: int, dilation: int, x: jax.Array, kernel: jax.Array, cotangent: jax.Array) -> jax.Array:
    """Sum over pixels the products of the cotangent with each shift of the input, all taps in one pass over memory."""
    size, channels = kernel.shape[0], x.shape[3]
    pad = dilation * (size // 2)
    height, width = cotangent.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    products = [window * cotangent for window in _windows(padded, size, height, width, stride, dilation)]
    taps = jnp.stack(pixel_sums(*products)).sum(axis=1)
    return taps.reshape(size, size, 1, channels).astype(kernel.dtype)


_depthwise_conv.defvjp(_forward, _backward)


class DepthwiseConv(nn.Module):
    """Bias-free depthwise convolution layer with a `(size, size, 1, C)` kernel.

    Attributes:
        size: side of the kernel, odd.
        stride: step between output pixels.
        dilation: step between kernel taps.
        dtype: type of the computation; parameters stay float32.
    """

    size: int
    stride: int = 1
    dilation: int = 1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, factor: jax.Array | None = None) -> jax.Array:
        """Map `(N, H, W, C)` to `(N, ceil(H / stride), ceil(W / stride), C)`.

        The kernel is first multiplied by `factor`, if there is one.
        """
        kernel = self.param("kernel", torch_uniform, (self.size, self.size, 1, x.shape[-1]))
        kernel = kernel if factor is None else kernel * factor
        return depthwise_conv(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, self.dilation)
