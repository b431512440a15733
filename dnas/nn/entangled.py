"""Weight entanglement: convolutions as slices of one kernel, mixed before one convolution.

TangleNAS (Sukthanker et al., *Weight-Entanglement Meets Gradient-Based Neural Architecture Search*, arXiv:2312.10440).
A convolution is linear in its kernel, so that the weighted sum of candidate convolutions is one convolution with the
weighted sum of their kernels, each padded with zeros to the largest. Slices are taken as in the authors' code
(automl/TangleNAS at 20aa4b1, `toy_search_spaces/conv_macro/mixture_operations.py`): in the centre of height and width,
and from the first channel on.

Padded with zeros, a slice is the whole kernel times a mask. A mixture is therefore the kernel times the weighted sum of
the masks, its `factor`, which is small where only sizes differ.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.errors import UserError

Shape = tuple[int, int, int, int]


class Slice(NamedTuple):
    """What one candidate uses of the largest kernel `(h, w, C, K)`, or `(h, w, 1, C)` of a depthwise convolution.

    Attributes:
        size: side of the candidate's kernel, odd like those of the largest.
        dilation: step between the candidate's taps, counted in taps of the largest kernel: with 2, a 3x3 kernel takes
            every second tap of a 5x5 one.
        inputs: how many of the C channels in, from the first on; `None` takes all.
        outputs: how many of the channels out, from the first on; the candidate's other outputs are zero; `None` takes
            all.
    """

    size: int
    dilation: int = 1
    inputs: int | None = None
    outputs: int | None = None


def slice_kernel(kernel: jax.Array, own: Slice) -> jax.Array:
    """Return a candidate's kernel `(size, size, inputs, outputs)` from the largest one.

    Raises:
        UserError: if the slice does not lie in the kernel.
    """
    return kernel[_places(kernel.shape, own)]


def factor(shape: Shape, slices: Sequence[Slice], weights: jax.Array) -> jax.Array:
    """Return what the largest kernel is multiplied by to give the mixture of its slices.

    Args:
        shape: of the largest kernel.
        slices: of the M candidates.
        weights: `(M,)` operation weights.

    Returns:
        An array that broadcasts against `shape`, of the type of `weights`; axes of which all slices take everything
        have length 1.

    Raises:
        UserError: if a slice does not lie in the kernel.
    """
    masks = (jnp.asarray(_mask(shape, own), weights.dtype) for own in slices)
    return sum(weight * mask for weight, mask in zip(weights, masks, strict=True))


def mix_kernels(kernel: jax.Array, slices: Sequence[Slice], weights: jax.Array) -> jax.Array:
    """Return the weighted sum of slices of a kernel, each padded with zeros to the whole (arXiv:2312.10440, section 3).

    One convolution with it equals the weighted sum of the candidates' convolutions, each with padding that keeps the
    image's size at stride 1.

    Args:
        kernel: `(h, w, C, K)`, the largest.
        slices: of the M candidates.
        weights: `(M,)` operation weights. Where sizes and widths are chosen apart, the outer product of theirs.

    Returns:
        `(h, w, C, K)`.

    Raises:
        UserError: if a slice does not lie in the kernel.
    """
    return kernel * factor(kernel.shape, slices, weights)  # type: ignore[arg-type]


def _places(shape: tuple[int, ...], own: Slice) -> tuple[slice, ...]:
    """Return where a slice lies, for each axis of the kernel."""
    reach = own.dilation * (own.size - 1) + 1
    channels = (whole if some is None else some for some, whole in zip(own[2:], shape[2:], strict=True))
    wanted = (reach, reach, *channels)
    odd = own.size % 2 and shape[0] % 2 and shape[1] % 2
    fits = all(0 < mine <= whole for mine, whole in zip(wanted, shape, strict=True))
    if not odd or not fits or own.size < 1 or own.dilation < 1:
        raise UserError(
            f"{own} does not lie in a kernel of shape {shape}: expected an odd size that with its dilation, and "
            f"channels that, are at most those of the kernel"
        )
    centred = ((whole - reach) // 2 for whole in shape[:2])
    spatial = tuple(slice(start, start + reach, own.dilation) for start in centred)
    return (*spatial, *(slice(0, mine) for mine in wanted[2:]))


def _mask(shape: Shape, own: Slice) -> np.ndarray:
    """Return 1 where the slice lies and 0 elsewhere, with axes of length 1 where it takes everything."""
    axes = []
    for length, place in zip(shape, _places(shape, own), strict=True):
        axis = np.zeros(length, np.float32)
        axis[place] = 1
        axes.append(axis[:1] if axis.all() else axis)
    return np.einsum("h,w,c,k->hwck", *axes)
