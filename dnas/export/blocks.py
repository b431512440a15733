"""The parts that written-out networks are made of.

Their source is copied into the user's file as it stands, so nothing here may use `dnas`, and each part only the others
and the imports below. Layers are called in the order of `dnas.nn`, by which their weights are found.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def load(path: str = "weights.safetensors") -> dict[str, Any]:
    """Read the weights, as `Network().apply` takes them."""
    from safetensors.numpy import load_file

    variables: dict[str, Any] = {}
    for name, array in load_file(path).items():
        *parents, last = name.split("/")
        node = variables
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = array
    return variables


def batch_norm(train: bool, name: str = "norm") -> nn.BatchNorm:
    """Batch norm: by the batch in training, by running statistics otherwise."""
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, name=name)


class ConvNorm(nn.Module):
    """A convolution that keeps the size at stride 1, then batch norm."""

    channels: int
    size: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Apply it."""
        padding = [(side // 2, side // 2) for side in self.size]
        x = nn.Conv(self.channels, self.size, self.strides, padding, use_bias=False, name="conv")(x)
        return batch_norm(train)(x)


class FactorizedReduce(nn.Module):
    """ReLU, then one 1x1 convolution of the even and one of the odd pixels, side by side, then batch norm."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Apply it."""
        x = nn.relu(x)
        even = nn.Conv(self.channels // 2, (1, 1), use_bias=False, name="even")(x[:, ::2, ::2])
        odd = nn.Conv(self.channels - self.channels // 2, (1, 1), use_bias=False, name="odd")(x[:, 1::2, 1::2])
        return batch_norm(train)(jnp.concatenate([even, odd], axis=-1))


class Depthwise(nn.Module):
    """A convolution of each channel with a kernel of its own, which keeps the size at stride 1."""

    size: int
    stride: int = 1
    dilation: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply it."""
        channels, pad = x.shape[-1], self.dilation * (self.size // 2)
        return nn.Conv(
            channels,
            (self.size, self.size),
            (self.stride, self.stride),
            [(pad, pad), (pad, pad)],
            kernel_dilation=(self.dilation, self.dilation),
            feature_group_count=channels,
            use_bias=False,
            name="conv",
        )(x)


class SepConv(nn.Module):
    """(ReLU, depthwise convolution, 1x1 convolution, batch norm) twice; stride and dilation are in the first half."""

    channels: int
    size: int
    stride: int = 1
    dilation: int = 1
    middle: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Apply it."""
        halves = ((self.stride, self.dilation, self.middle or self.channels), (1, 1, self.channels))
        for index, (stride, dilation, channels) in enumerate(halves):
            x = Depthwise(self.size, stride, dilation, name=f"depthwise_{index}")(nn.relu(x))
            x = ConvNorm(channels, name=f"pointwise_{index}")(x, train)
        return x


class DilConv(nn.Module):
    """ReLU, depthwise convolution with dilation 2, 1x1 convolution, batch norm."""

    channels: int
    size: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Apply it."""
        x = Depthwise(self.size, self.stride, 2, name="depthwise")(nn.relu(x))
        return ConvNorm(self.channels, name="pointwise")(x, train)


class FactorizedConv(nn.Module):
    """ReLU, 1x7 convolution, 7x1 convolution, batch norm; each stride is in the direction of its kernel."""

    channels: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Apply it."""
        strides, padding = (1, self.stride), [(0, 0), (3, 3)]
        x = nn.Conv(self.channels, (1, 7), strides, padding, use_bias=False, name="horizontal")(nn.relu(x))
        return ConvNorm(self.channels, (7, 1), (self.stride, 1), name="vertical")(x, train)


def max_pool(x: jax.Array, stride: int = 1) -> jax.Array:
    """Return the maximum over 3x3 windows, padded by 1."""
    return nn.max_pool(x, (3, 3), (stride, stride), [(1, 1), (1, 1)])


def avg_pool(x: jax.Array, stride: int = 1) -> jax.Array:
    """Return the mean over the cells of 3x3 windows that are not padding."""
    return nn.avg_pool(x, (3, 3), (stride, stride), [(1, 1), (1, 1)], count_include_pad=False)
