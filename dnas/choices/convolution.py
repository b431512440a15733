"""The convolution of an entangled layer, for whichever library the layer is written with."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from flax.linen.dtypes import promote_dtype
from flax.linen.linear import canonicalize_padding
from jax import lax
from jax.typing import DTypeLike

from dnas.choices.context import Decision
from dnas.choices.entangled import Size, Taken, enclosing, named, take, widths_of, windows_of
from dnas.choices.mixing import marked
from dnas.errors import UserError
from dnas.nn.conv import convolve
from dnas.types import Array

Padding = str | int | Sequence[int | tuple[int, int]]
Sides = list[tuple[int, int]]


class Sized(NamedTuple):
    """What a convolution takes of its arrays.

    Attributes:
        width: of the channels out.
        window: of the kernel's spatial axes.
        decisions: those about them that are open.
    """

    width: Taken
    window: Taken
    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class Convolution:
    """What a convolution is given whose width, window or both are searched for.

    Attributes:
        features: channels out, or several to choose from.
        kernel_size: sides of the window, one for each spatial axis, or several windows to choose from.
        strides: one for all spatial axes, or one for each.
        padding: `SAME`, `VALID`, or zeros on the sides of the spatial axes, for the largest window.
        kernel_dilation: step between the taps of the window.
        groups: into how many groups the channels are divided; 1 where a width is chosen.
        dtype: of the computation; `None` infers it from input and parameters.
        precision: of the products, as `jax.lax` takes it.
    """

    features: int | tuple[int, ...]
    kernel_size: tuple[int, ...] | tuple[tuple[int, ...], ...]
    strides: int | tuple[int, ...] = 1
    padding: Padding = "SAME"
    kernel_dilation: int | tuple[int, ...] = 1
    groups: int = 1
    dtype: DTypeLike | None = None
    precision: lax.PrecisionLike = None

    def options(self) -> tuple[Size, tuple[Size, ...]]:
        """Return the widths and the windows.

        Raises:
            UserError: for windows without a common centre, a width chosen in groups, or nothing to choose.
        """
        widths, windows = widths_of("Conv", self.features), windows_of("Conv", self.kernel_size)
        wide = isinstance(self.features, tuple | list)
        if not wide and len(windows) < 2:
            raise UserError(
                f"Conv: features is {self.features} and kernel_size {self.kernel_size}, which leaves nothing to "
                f"choose: use flax's Conv"
            )
        if wide and self.groups != 1:
            raise UserError(
                f"Conv: feature_group_count is {self.groups}, but which channels are in a group depends on the width, "
                f"which is a choice: choose the window only, or use one group"
            )
        return widths, windows

    def sized(self, own: Callable[[tuple[str, ...], str], Decision]) -> Sized:
        """Return what is decided.

        Args:
            own: `(options, part) -> Decision` of the layer, `part` where it has two.

        Raises:
            UserError: as `options`, and as `dnas.choices.naming.checked`.
        """
        widths, windows = self.options()
        wide, windowed = isinstance(self.features, tuple | list), len(windows) > 1
        width, window, decisions = Taken(widths[:1]), Taken(windows[0]), []
        if wide:
            decision = own(tuple(map(str, widths)), "features" if windowed else "")
            decisions.append(decision._replace(widths=widths))
            width = take(decisions[-1])
        if windowed:
            decision = own(tuple(map(named, windows)), "kernel_size" if wide else "")
            decisions.append(decision._replace(windows=windows))
            window = take(decisions[-1])
        return Sized(width, window, tuple(decisions))

    def __call__(self, x: Array, kernel: Array, bias: Array | None, sized: Sized) -> Array:
        """Map `(..., *spatial, C)` to `(..., *spatial', features)`.

        Args:
            x: input.
            kernel: `(*window, C / groups, features)`.
            bias: `(features,)`.
            sized: what is decided.

        Raises:
            UserError: if the largest window is not one for this input.
        """
        width, window, decisions = sized
        if window.factor is not None:
            kernel = kernel * window.factor[..., None, None].astype(kernel.dtype)
            bias = None if bias is None else bias * window.total.astype(bias.dtype)  # type: ignore[union-attr]
        if width.factor is not None:
            kernel = kernel * width.factor.astype(kernel.dtype)
            bias = None if bias is None else bias * width.factor.astype(bias.dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = self._convolve(x, kernel, enclosing(self.options()[1]))
        y = y if bias is None else y + bias
        for decision in decisions:
            y = marked(decision, y)
        return y

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
        if rank == 2 and even and {*dilation, self.groups} == {1} and self.precision is None:
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
                feature_group_count=self.groups,
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
