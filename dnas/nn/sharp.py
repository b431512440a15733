"""SharpSepConv, the operations of sharpDARTS (Hundt, Jain and Hager, arXiv:1903.09900).

Structure and names are those of the authors' code (ahundt/sharpDARTS at 6f593d4, `cnn/operations.py`), with `sharp_`
before each name, since its `dil_conv` is another operation than that of DARTS. Their `dil_flood_conv_5x5` pads too
little and loses four pixels, of which they warn; here it keeps them.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax

from dnas.nn.base import Operation
from dnas.nn.depthwise import DepthwiseConv

FLOOD = 4
"""How many times as wide as its output the middle of a flooded convolution is."""
CHOKE = 32
"""Channels in the middle of a choked convolution, whatever its output."""


class SharpSepConv(Operation):
    """Two separable convolutions, of which the first may be dilated, with a middle of another width between them.

    (ReLU, depthwise, 1x1, batch norm) twice: the first with the stride and the dilation, to M channels, the second with
    neither, to the output's. From I to C channels with a k x k kernel these are k^2 I + I M + k^2 M + M C weights, and
    2 M + 2 C more where batch norm is affine.

    Attributes:
        size: side k of both kernels, odd.
        dilation: step between the taps of the first kernel.
        flood: M as a multiple of C.
        middle: M itself; 0 goes by `flood`.
    """

    size: int = 3
    dilation: int = 1
    flood: int = 1
    middle: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, factor: jax.Array | None = None) -> jax.Array:
        """Map `(N, H, W, I)` to `(N, ceil(H / stride), ceil(W / stride), C)`; `factor` multiplies both kernels."""
        middle = self.middle or self.flood * self.channels
        halves = ((self.stride, self.dilation, middle), (1, 1, self.channels))
        for half, (stride, dilation, features) in enumerate(halves):
            depthwise = DepthwiseConv(self.size, stride, dilation, self.dtype, name=f"depthwise_{half}")
            x = depthwise(nn.relu(x), factor)
            x = self.norm(f"norm_{half}")(self.pointwise(features, f"pointwise_{half}")(x), train)
        return x


SHARP: dict[str, tuple[Callable[..., Operation], tuple[int, ...]]] = {
    "sharp_sep_conv": (SharpSepConv, (3, 5, 7)),
    "sharp_dil_conv": (partial(SharpSepConv, dilation=2), (3, 5)),
    "sharp_flood_conv": (partial(SharpSepConv, flood=FLOOD), (3, 5)),
    "sharp_dil_flood_conv": (partial(SharpSepConv, dilation=2, flood=FLOOD), (3, 5)),
    "sharp_choke_conv": (partial(SharpSepConv, middle=CHOKE), (3,)),
    "sharp_dil_choke_conv": (partial(SharpSepConv, dilation=2, middle=CHOKE), (3,)),
}
"""Families of operations with their kernel sizes. `sharp_sep_conv` between equal channels is `sep_conv` of DARTS."""
