"""A convolution whose width and window are choices of slices of one kernel."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from flax.linen import initializers
from jax import lax
from jax.typing import DTypeLike

from dnas.choices.convolution import Convolution, Padding
from dnas.choices.naming import decision_of
from dnas.types import Array


class Conv(nn.Module):
    """A convolution, how many channels it returns or how large its window is is searched for, or both.

    All options are slices of one kernel: the first channels, and the middle of the window. They are mixed before the
    one convolution, so that a mixture costs one with the largest window and width (TangleNAS, arXiv:2312.10440).
    Windows of all sizes have their centres in the same places, where padding puts those of the largest. Where both are
    searched for they are two decisions, whose names end with `.features` and `.kernel_size`.

    In a search the output has the channels of the largest width, of which those that a width leaves out are zero. A
    derived network is as wide as chosen, and so is what follows in it. See `dnas.choices.widths` for what may follow.
    Two-dimensional convolutions have a derivative of their own, which is in reverse mode (`dnas.nn.conv`).

        x = Conv(features=(16, 32), kernel_size=((3, 3), (5, 5)))(x)

    Attributes:
        features: channels out, or several to choose from.
        kernel_size: sides of the window, one for each spatial axis, or several windows to choose from.
        strides: one for all spatial axes, or one for each.
        padding: `SAME`, `VALID`, or zeros on the sides of the spatial axes, for the largest window.
        kernel_dilation: step between the taps of the window.
        feature_group_count: into how many groups the channels are divided; 1 where a width is chosen.
        use_bias: whether a bias is added.
        dtype: of the computation; `None` infers it from input and parameters.
        param_dtype: of the parameters.
        precision: of the products, as `jax.lax` takes it.
        kernel_init: initialiser of the kernel `(*window, C / groups, features)`.
        bias_init: initialiser of the bias `(features,)`.
        decision: the name under which layers share one decision; `None` decides for this place in the model alone.
    """

    features: int | tuple[int, ...]
    kernel_size: tuple[int, ...] | tuple[tuple[int, ...], ...]
    strides: int | tuple[int, ...] = 1
    padding: Padding = "SAME"
    kernel_dilation: int | tuple[int, ...] = 1
    feature_group_count: int = 1
    use_bias: bool = True
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = jnp.float32
    precision: lax.PrecisionLike = None
    kernel_init: initializers.Initializer = initializers.lecun_normal()
    bias_init: initializers.Initializer = initializers.zeros_init()
    decision: str | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map `(..., *spatial, C)` to `(..., *spatial', features)`.

        Raises:
            UserError: for windows without a common centre, a width chosen in groups, or nothing to choose.
        """
        settings = Convolution(
            self.features,
            self.kernel_size,
            self.strides,
            self.padding,
            self.kernel_dilation,
            self.feature_group_count,
            self.dtype,
            self.precision,
        )
        sized = settings.sized(partial(decision_of, self, self.decision))
        (width,), window = sized.width.size, sized.window.size
        shape = (*window, x.shape[-1] // self.feature_group_count, width)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = self.param("bias", self.bias_init, (width,), self.param_dtype) if self.use_bias else None
        return settings(x, kernel, bias, sized)
