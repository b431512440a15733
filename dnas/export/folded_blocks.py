"""The parts of `dnas.export.blocks` in which batch norm is folded, under the same names; copied likewise."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class ConvNorm(nn.Module):
    """A convolution that keeps the size at stride 1; its kernel and bias hold the batch norm that followed it."""

    channels: int
    size: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Apply it, in the same way whether in training or not."""
        padding = [(side // 2, side // 2) for side in self.size]
        return nn.Conv(self.channels, self.size, self.strides, padding, name="conv")(x)


class FactorizedReduce(nn.Module):
    """ReLU, then one 1x1 convolution of the even and one of the odd pixels, side by side, with batch norm in them."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Apply it, in the same way whether in training or not."""
        x = nn.relu(x)
        even = nn.Conv(self.channels // 2, (1, 1), name="even")(x[:, ::2, ::2])
        odd = nn.Conv(self.channels - self.channels // 2, (1, 1), name="odd")(x[:, 1::2, 1::2])
        return jnp.concatenate([even, odd], axis=-1)
