"""Layers and pools in the plain form that compilers and converters know: one operation each."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax

from dnas.nn.conv import LAYOUT, Conv
from dnas.nn.depthwise import DepthwiseConv, grouped_depthwise
from dnas.nn.pointwise import Pointwise
from dnas.types import Array

LINEAR = (Conv, DepthwiseConv, Pointwise, nn.Conv, nn.Dense)
"""Layers into which a batch norm that follows them can be folded."""
_WINDOW, _PADDING = (1, 3, 3, 1), ((0, 0), (1, 1), (1, 1), (0, 0))


def linear(module: nn.Module, x: Array, params: Mapping[str, Any]) -> Array:
    """Compute a layer of `LINEAR`, in its type, with these parameters instead of its own: `kernel`, perhaps `bias`."""
    if isinstance(module, nn.Conv | nn.Dense):
        layer = module.clone(parent=None, name=None, use_bias="bias" in params)
        return jnp.asarray(layer.apply({"params": dict(params)}, x))
    assert isinstance(module, Conv | DepthwiseConv | Pointwise)
    kernel = np.asarray(params["kernel"]).astype(module.dtype)
    x = x.astype(module.dtype)
    if isinstance(module, Conv):
        padding = (module.size[0] // 2, module.size[1] // 2) if module.padding is None else module.padding
        y = convolve(x, kernel, module.strides, padding)
    elif isinstance(module, DepthwiseConv):
        y = grouped_depthwise(x, jnp.asarray(kernel), stride=module.stride, dilation=module.dilation)
    else:
        y = pointwise(x, kernel)
    return y + np.asarray(params["bias"]).astype(module.dtype) if "bias" in params else y


def pointwise(x: Array, kernel: np.ndarray) -> Array:
    """Convolve `(N, H, W, C)` with a 1x1 kernel `(C, K)` of the same type."""
    return convolve(x, kernel[None, None], (1, 1), (0, 0))


def convolve(x: Array, kernel: np.ndarray, strides: tuple[int, int], padding: tuple[int, int]) -> Array:
    """Convolve `(N, H, W, C)` with `(h, w, C, K)`; as `dnas.nn.conv.convolve`."""
    pads = [(pad, pad) for pad in padding]
    return lax.conv_general_dilated(x, jnp.asarray(kernel), strides, pads, dimension_numbers=LAYOUT)


def max_pool_3x3(x: Array, stride: int) -> Array:
    """Return the maximum over 3x3 windows of `(N, H, W, C)`, padded by 1; as `dnas.nn.pool.max_pool_3x3`."""
    return lax.reduce_window(x, -np.inf, lax.max, _WINDOW, (1, stride, stride, 1), _PADDING)


def avg_pool_3x3(x: Array, stride: int) -> Array:
    """Return the mean over the cells of 3x3 windows that are not padding; as `dnas.nn.pool.avg_pool_3x3`."""
    sums = lax.reduce_window(x, 0.0, lax.add, _WINDOW, (1, stride, stride, 1), _PADDING)
    rows, columns = (_cells(length, stride) for length in x.shape[1:3])
    return sums / (rows[:, None, None] * columns[:, None]).astype(x.dtype)


def _cells(length: int, stride: int) -> np.ndarray:
    """Return how many cells of a window of 3 around each of its centres lie within `length` pixels."""
    centres = np.arange(0, length, stride)
    return np.minimum(centres + 1, length - 1) - np.maximum(centres - 1, 0) + 1
