"""Entangled layers for Flax NNX modules; in name and meaning those of `dnas.choices` for Linen modules.

NNX makes all parameters in the constructor, and layers are told how many channels they take. All are therefore made for
the largest width, and the layers around it with them; `dnas.space` cuts the arrays of a derived network to what is
chosen, so that one that begins afresh begins with what initialisers draw for the largest width. Called outside of a
search or a derived network, a layer has its largest width, and the first of its windows.
"""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from flax.linen import initializers
from jax import lax
from jax.typing import DTypeLike

from dnas.choices.convolution import Convolution, Padding
from dnas.choices.dense import product, widths_to_choose
from dnas.choices.entangled import enclosing, places, take
from dnas.choices.nnx_open import Open
from dnas.types import Array

KERNEL, BIAS = initializers.lecun_normal(), initializers.zeros_init()
"""With what parameters begin unless it is said, as those of NNX's own layers."""


class Linear(Open):
    """A dense layer, how many channels it returns is searched for; as `dnas.choices.Dense`.

    What follows is made for the largest width: `nnx.Linear`, `nnx.Conv` and `nnx.BatchNorm` are narrower in a derived
    network. See `dnas.choices.ties` for what may follow.

        self.up = Linear(8, (16, 24, 32), rngs=rngs)
        self.down = nnx.Linear(32, 8, rngs=rngs)

    Args:
        in_features: channels in, the most that there may be.
        out_features: the widths to choose from.
        use_bias: whether a bias is added.
        dtype: of the computation; `None` infers it from input and parameters.
        param_dtype: of the parameters.
        precision: of the product, as `jax.lax` takes it.
        kernel_init: initialiser of the kernel `(in_features, max(out_features))`.
        bias_init: initialiser of the bias `(max(out_features),)`.
        decision: as in `Open`.
        rngs: what the parameters are made with.

    Raises:
        UserError: if `out_features` is no choice of widths.
    """

    def __init__(
        self,
        in_features: int,
        out_features: tuple[int, ...],
        *,
        use_bias: bool = True,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        kernel_init: initializers.Initializer = KERNEL,
        bias_init: initializers.Initializer = BIAS,
        decision: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        super().__init__(decision)
        self.widths = widths_to_choose("Linear", out_features)
        self.dtype = dtype
        self.precision = precision
        width = max(self.widths)
        self.kernel = nnx.Param(kernel_init(rngs.params(), (in_features, width), param_dtype))
        self.bias = nnx.Param(bias_init(rngs.params(), (width,), param_dtype)) if use_bias else nnx.data(None)

    def __call__(self, x: Array) -> Array:
        """Map `(..., C)` to `(..., features)`."""
        own = self.own(tuple(map(str, self.widths)))._replace(widths=self.widths)
        bias = None if self.bias is None else self.bias[...]
        factor = take(own).factor
        return product(x, self.kernel[...], bias, own, factor, dtype=self.dtype, precision=self.precision)


class Conv(Open):
    """A convolution, how many channels it returns or how large its window is is searched for, or both.

    As `dnas.choices.Conv`, where what is chosen is said in full. What follows is made for the largest width; see
    `dnas.choices.ties` for what may follow.

        self.conv = Conv(3, (16, 32), ((3, 3), (5, 5)), rngs=rngs)
        self.norm = nnx.BatchNorm(32, rngs=rngs)

    Args:
        in_features: channels in, the most that there may be.
        out_features: channels out, or several to choose from.
        kernel_size: sides of the window, one for each spatial axis, or several windows to choose from.
        strides: one for all spatial axes, or one for each.
        padding: `SAME`, `VALID`, or zeros on the sides of the spatial axes, for the largest window.
        kernel_dilation: step between the taps of the window.
        feature_group_count: into how many groups the channels are divided; 1 where a width is chosen.
        use_bias: whether a bias is added.
        dtype: of the computation; `None` infers it from input and parameters.
        param_dtype: of the parameters.
        precision: of the products, as `jax.lax` takes it.
        kernel_init: initialiser of the kernel `(*largest window, in_features / groups, max(out_features))`.
        bias_init: initialiser of the bias `(max(out_features),)`.
        decision: as in `Open`; where width and window are chosen, the two names end with `.features` and
            `.kernel_size`.
        rngs: what the parameters are made with.

    Raises:
        UserError: for windows without a common centre, a width chosen in groups, or nothing to choose.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int | tuple[int, ...],
        kernel_size: tuple[int, ...] | tuple[tuple[int, ...], ...],
        *,
        strides: int | tuple[int, ...] = 1,
        padding: Padding = "SAME",
        kernel_dilation: int | tuple[int, ...] = 1,
        feature_group_count: int = 1,
        use_bias: bool = True,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: lax.PrecisionLike = None,
        kernel_init: initializers.Initializer = KERNEL,
        bias_init: initializers.Initializer = BIAS,
        decision: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        super().__init__(decision)
        self.settings = Convolution(
            _tupled(out_features),
            _tupled(kernel_size),
            _tupled(strides),
            _tupled(padding),
            _tupled(kernel_dilation),
            feature_group_count,
            dtype,
            precision,
        )
        widths, windows = self.settings.options()
        shape = (*enclosing(windows), in_features // feature_group_count, max(widths))
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, param_dtype))
        self.bias = nnx.Param(bias_init(rngs.params(), shape[-1:], param_dtype)) if use_bias else nnx.data(None)

    def __call__(self, x: Array) -> Array:
        """Map `(..., *spatial, C)` to `(..., *spatial', features)`.

        Raises:
            UserError: if the largest window is not one for this input.
        """
        sized = self.settings.sized(self.own)
        kernel, window = self.kernel[...], sized.window.size
        if kernel.shape[: len(window)] != window:
            # Nothing is decided: the kernel of a derived network is cut already.
            kernel = kernel[places(kernel.shape[: len(window)], window, centred=True)]
        return self.settings(x, kernel, None if self.bias is None else self.bias[...], sized)


def _tupled(value: Any) -> Any:
    # NNX compares what a module is made of by hash.
    return tuple(map(_tupled, value)) if isinstance(value, list | tuple) else value
