"""Batch norm of an evaluated network as part of the layer before it.

With running mean m and variance v, batch norm is a factor s and a summand for each channel (Ioffe and Szegedy,
arXiv:1502.03167, section 3.1 and algorithm 2, step 11):

    norm(y) = s (y - m) + b,  s = a / sqrt(v + epsilon),

with a scale a and a bias b where it has them. A convolution or dense layer y = K * x + c is linear in its kernel, whose
last axis enumerates the channels of y, be it full, grouped, depthwise or pointwise. Hence

    norm(K * x + c) = (s K) * x + s (c - m) + b.
"""

from typing import Any, NamedTuple

import numpy as np

from dnas.types import Array


class Norm(NamedTuple):
    """Batch norm in evaluation; every entry is `(C,)`.

    Attributes:
        mean: running mean m.
        variance: running variance v.
        scale: a; `None` is 1.
        bias: b; `None` is 0.
        epsilon: added to the variance.
    """

    mean: Any
    variance: Any
    scale: Any = None
    bias: Any = None
    epsilon: float = 1e-5


class Affine(NamedTuple):
    """A factor s and a summand t for each channel, `(C,)` float64: `y -> s y + t`."""

    factor: np.ndarray
    summand: np.ndarray


def affine(norm: Norm) -> Affine:
    """Return what batch norm is in evaluation, computed in float64."""
    mean, variance = _wide(norm.mean), _wide(norm.variance)
    factor = (1.0 if norm.scale is None else _wide(norm.scale)) / np.sqrt(variance + norm.epsilon)
    return Affine(factor, (0.0 if norm.bias is None else _wide(norm.bias)) - factor * mean)


def fold(kernel: Array | np.ndarray, bias: Array | np.ndarray | None, norm: Affine) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel and the bias of a layer that does what a layer and the batch norm after it do.

    Args:
        kernel: `(..., C)`; the last axis enumerates the channels of the layer's output.
        bias: `(C,)`, or `None` where the layer has none.
        norm: the batch norm.

    Returns:
        Kernel and bias of the kernel's type.
    """
    summand = norm.summand if bias is None else norm.summand + norm.factor * _wide(bias)
    own = np.asarray(kernel).dtype
    return (_wide(kernel) * norm.factor).astype(own), summand.astype(own)


def _wide(values: Any) -> np.ndarray:
    return np.asarray(values).astype(np.float64)
