"""The candidate operations of the DARTS and NAS-Bench-201 spaces (arXiv:1806.09055, section 3.1; arXiv:2001.00326).

`noise` is that of the space S4 of R-DARTS (arXiv:1909.09656); the `sharp_` ones are in `dnas.nn.sharp`. Every
operation maps `(N, H, W, C)` to `(N, H / stride, W / stride, C)` and is a Linen module called as `op(x, train)`;
convolutions take any number of channels.
Batch norm has epsilon 1e-5 and decay 0.9; `affine` says whether it has a scale and a bias. Operations that have sizes
take a third argument, by which their kernels with height and width are multiplied (`dnas.nn.entangled`).
"""

import re
from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from dnas.nn.base import Norm, Operation
from dnas.nn.conv import Conv
from dnas.nn.depthwise import DepthwiseConv
from dnas.nn.pool import avg_pool_3x3, max_pool_3x3
from dnas.nn.sharp import SHARP, SharpSepConv


class Zero(Operation):
    """`none`: zeros of the output's shape."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Return zeros."""
        return jnp.zeros_like(x[:, :: self.stride, :: self.stride])


class Noise(Operation):
    """`noise`: a standard normal number in each place of the output, whatever the input (code of R-DARTS).

    Where its random numbers stand is kept with the running statistics, so that the network stays a pure function of its
    variables and input, and a resumed search draws what the interrupted one would have drawn: `seed`, uniform in
    [0, 1), comes from the key that initialises the network and tells edges apart; `count` is the number of draws in
    training. In evaluation nothing moves, so that inputs of one shape see the same noise, where the reference draws
    anew.
    """

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Return `(N, H / stride, W / stride, C)` draws."""
        seed = self.variable("batch_stats", "seed", lambda: jax.random.uniform(self.make_rng("params")))
        count = self.variable("batch_stats", "count", lambda: jnp.zeros(()))
        key = jax.random.key(0)
        for value in (seed.value, count.value):
            key = jax.random.fold_in(key, lax.bitcast_convert_type(value.astype(jnp.float32), jnp.uint32))
        if train and not self.is_initializing():
            count.value = count.value + 1
        return jax.random.normal(key, x[:, :: self.stride, :: self.stride].shape, jnp.float32).astype(self.dtype)


class Pool(Operation):
    """3x3 pool with padding 1: the maximum, or the mean over the cells that are not padding."""

    kind: str = "max"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Pool, then normalise if `pool_norm`."""
        y = self.pooled(x)
        return self.norm("norm")(y, train) if self.pool_norm else y

    def pooled(self, x: jax.Array) -> jax.Array:
        """Pool only."""
        return (max_pool_3x3 if self.kind == "max" else avg_pool_3x3)(x, self.stride)


class FactorizedReduce(Operation):
    """ReLU, then two stride-2 1x1 convolutions on pixels one apart, concatenated and normalised; halves H and W."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Map `(N, H, W, any)` to `(N, H / 2, W / 2, channels)`; H and W must be even."""
        if x.shape[1] % 2 or x.shape[2] % 2:
            raise ValueError(f"FactorizedReduce needs even height and width, got {x.shape[1]}x{x.shape[2]}")
        x = nn.relu(x)
        first = self.pointwise(self.channels // 2, "first")(x[:, ::2, ::2])
        second = self.pointwise(self.channels - self.channels // 2, "second")(x[:, 1::2, 1::2])
        return self.norm("norm")(jnp.concatenate([first, second], axis=-1), train)


class Skip(Operation):
    """`skip_connect`: the identity, or `FactorizedReduce` where the stride is 2."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Return `x`, or its factorised reduction."""
        if self.stride == 1:
            return x
        return FactorizedReduce(self.channels, affine=self.affine, dtype=self.dtype, name="reduce")(x, train)


class DilConv(Operation):
    """Dilated separable convolution: ReLU, depthwise with dilation 2, 1x1, batch norm."""

    size: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, factor: jax.Array | None = None) -> jax.Array:
        """Apply it."""
        x = DepthwiseConv(self.size, self.stride, 2, self.dtype, name="depthwise")(nn.relu(x), factor)
        return self.norm("norm")(self.pointwise(self.channels, "pointwise")(x), train)


class NormalConv(Operation):
    """`nor_conv` of NAS-Bench-201: ReLU, full convolution without bias, batch norm."""

    size: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, factor: jax.Array | None = None) -> jax.Array:
        """Apply it; there is no `factor` at size 1."""
        x = nn.relu(x)
        if self.size == 1:
            x = self.pointwise(self.channels, "conv")(x[:, :: self.stride, :: self.stride])
        else:
            size, strides = (self.size, self.size), (self.stride, self.stride)
            x = Conv(self.channels, size, strides, dtype=self.dtype, name="conv")(x, factor)
        return self.norm("norm")(x, train)


class FactorizedConv(Operation):
    """`conv_7x1_1x7`: ReLU, full 1x7 then 7x1 convolution, batch norm."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Apply it; each stride is in the direction of its kernel."""
        conv = partial(Conv, self.channels, dtype=self.dtype)
        x = conv(size=(1, 7), strides=(1, self.stride), name="horizontal")(nn.relu(x))
        x = conv(size=(7, 1), strides=(self.stride, 1), name="vertical")(x)
        return self.norm("norm")(x, train)


class ReLUConvBN(Operation):
    """ReLU, bias-free 1x1 convolution to `channels`, batch norm: a cell's preprocessing."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Map `(N, H, W, any)` to `(N, H, W, channels)`."""
        return self.norm("norm")(self.pointwise(self.channels, "pointwise")(nn.relu(x)), train)


_FIXED: dict[str, Callable[..., Operation]] = {
    "none": Zero,
    "noise": Noise,
    "max_pool_3x3": partial(Pool, kind="max"),
    "avg_pool_3x3": partial(Pool, kind="avg"),
    "skip_connect": Skip,
    "conv_7x1_1x7": FactorizedConv,
}
_SIZED: dict[str, tuple[Callable[..., Operation], tuple[int, ...]]] = {
    "sep_conv": (SharpSepConv, (3, 5, 7)),
    "dil_conv": (DilConv, (3, 5)),
    "nor_conv": (NormalConv, (1, 3)),
    **SHARP,
}
"""Families of operations with their kernel sizes. The separable convolution of DARTS, twice (ReLU, depthwise, 1x1,
batch norm) with the stride in the first half, is a SharpSepConv that neither dilates nor widens."""


def names() -> tuple[str, ...]:
    """Return the names of all operations."""
    members = (f"{family}_{size}x{size}" for family, (_, sizes) in _SIZED.items() for size in sizes)
    return (*_FIXED, *members)


def operation(name: str) -> Callable[..., Operation]:
    """Return the constructor of the operation called `name`; `KeyError` if there is none."""
    if name in _FIXED:
        return _FIXED[name]
    found = sized(name)
    if found is None:
        raise KeyError(name)
    family, size = found
    return partial(_SIZED[family][0], size=size)


def sized(name: str) -> tuple[str, int] | None:
    """Return the family and size of an operation that has several, such as `("sep_conv", 3)`; `None` for others."""
    match = re.fullmatch(rf"({'|'.join(_SIZED)})_(\d)x\2", name)
    return (match[1], int(match[2])) if match and int(match[2]) in _SIZED[match[1]][1] else None


__all__ = [
    "DilConv",
    "FactorizedConv",
    "FactorizedReduce",
    "Noise",
    "Norm",
    "NormalConv",
    "Operation",
    "Pool",
    "ReLUConvBN",
    "Skip",
    "Zero",
    "names",
    "operation",
    "sized",
]
