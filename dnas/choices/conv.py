"""A convolution whose width and window are choices of slices of one kernel."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from flax.linen import initializers
from flax.linen.dtypes import promote_dtype
from flax.linen.linear import canonicalize_padding
from jax import lax
from jax.typing import DTypeLike

from dnas.choices.context import Decision
from dnas.choices.entangled import Size, Taken, enclosing, named, take, widths_of, windows_of
from dnas.choices.mixing import marked
from dnas.choices.naming import decision_of
from dnas.errors import UserError
from dnas.nn.conv import convolve
from dnas.types import Array

Padding = str | int | Sequence[int | tuple[int, int]]
Sides = list[tuple[int, int]]


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
        widths, windows = widths_of("Conv", self.features), windows_of("Conv", self.kernel_size)
        width, window, decisions = self._taken(widths, windows)
        groups = self.feature_group_count
        shape = (*window.size, x.shape[-1] // groups, *width.size)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = self.param("bias", self.bias_init, width.size, self.param_dtype) if self.use_bias else None
        if window.factor is not None:
            kernel = kernel * window.factor[..., None, None].astype(kernel.dtype)
            bias = None if bias is None else bias * window.total.astype(bias.dtype)  # type: ignore[union-attr]
        if width.factor is not None:
            kernel = kernel * width.factor.astype(kernel.dtype)
            bias = None if bias is None else bias * width.factor.astype(bias.dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = self._convolve(x, kernel, enclosing(windows))
        y = y if bias is None else y + bias
        for decision in decisions:
            y = marked(decision, y)
        return y

    def _taken(self, widths: Size, windows: tuple[Size, ...]) -> tuple[Taken, Taken, list[Decision]]:
        """Return what is taken of width and window, and the open decisions about them."""
        wide, windowed = isinstance(self.features, tuple | list), len(windows) > 1
        if not (wide or windowed):
            raise UserError(
                f"Conv: features is {self.features} and kernel_size {self.kernel_size}, which leaves nothing to "
                f"choose: use flax's Conv"
            )
        if wide and self.feature_group_count != 1:
            raise UserError(
                f"Conv: feature_group_count is {self.feature_group_count}, but which channels are in a group depends "
                f"on the width, which is a choice: choose the window only, or use one group"
            )
        width, window, decisions = Taken(widths[:1]), Taken(windows[0]), []
        if wide:
            own = decision_of(self, self.decision, tuple(map(str, widths)), "features" if windowed else "")
            decisions.append(own._replace(widths=widths))
            width = take(decisions[-1])
        if windowed:
            own = decision_of(self, self.decision, tuple(map(named, windows)), "kernel_size" if wide else "")
            decisions.append(own._replace(windows=windows))
            window = take(decisions[-1])
        return width, window, decisions

    def _convolve(self, x: Array, kernel: Array, largest: Size) -> Array:
        rank = len(largest)
        if x.ndim <= rank:
            raise UserError(
                f"Conv: the input has shape {x.shape}, expected {rank} spatial axes and channels: give an input "
                f"(..., {', '.join('HWD'[:rank])}, C), or a kernel_size of {max(x.ndim - 2, 1)} sides"
            )
        strides, dilation = _each(self.strides, rank), _each(self.kernel_dilation, rank)
        batch = x.shape[: x.ndim - rank - 1]
        x = x.reshape(math.prod(batch), *x.shape[x.ndim - rank - 1 :])
        sides = _sides(self.padding, x.shape[1:-1], largest, kernel.shape[:rank], strides, dilation)
        even = all(low == high >= 0 for low, high in sides)
        if rank == 2 and even and {*dilation, self.feature_group_count} == {1} and self.precision is None:
            y = convolve(x, kernel, strides, tuple(low for low, _ in sides))
        else:
            first, *spatial, last = range(rank + 2)
            image = (first, last, *spatial)
            y = lax.conv_general_dilated(
                x,
                kernel,
                strides,
                sides,
                rhs_dilation=dilation,
                dimension_numbers=lax.ConvDimensionNumbers(image, (rank + 1, rank, *range(rank)), image),
                feature_group_count=self.feature_group_count,
                precision=self.precision,
            )
        if not y.size:
            raise UserError(
                f"Conv: the largest window {named(largest)} does not fit into an input of shape {x.shape[1:]}: choose "
                f"smaller windows, or more padding"
            )
        return y.reshape(*batch, *y.shape[1:])


def _each(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _sides(padding: Padding, image: Size, largest: Size, window: Size, strides: Size, dilation: Size) -> Sides:
    """Return the zeros before and after each axis, with which this window's centres lie where the largest's do.

    Fewer than no zeros, which XLA takes as well, leave out the edge of the image.
    """
    reach = [step * (side - 1) + 1 for side, step in zip(largest, dilation, strict=True)]
    if isinstance(padding, str) and padding.upper() not in ("SAME", "VALID"):
        raise UserError(f"Conv: padding is {padding!r}, expected 'SAME', 'VALID' or numbers of zeros: give one of them")
    given = canonicalize_padding(padding, len(largest))
    whole = lax.padtype_to_pads(image, reach, strides, given.upper()) if isinstance(given, str) else given
    less = [step * (a - b) // 2 for a, b, step in zip(largest, window, dilation, strict=True)]
    return [(low - own, high - own) for (low, high), own in zip(whole, less, strict=True)]
