"""A dense layer whose width is a choice of slices of one weight."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.linen import initializers
from flax.linen.dtypes import promote_dtype
from jax import lax
from jax.typing import DTypeLike

from dnas.choices.context import Decision
from dnas.choices.entangled import take, widths_of
from dnas.choices.mixing import marked
from dnas.choices.naming import decision_of
from dnas.errors import UserError
from dnas.types import Array


class Dense(nn.Module):
    """A dense layer, how many channels it returns is searched for: the first ones of one shared weight.

    In a search the output has the channels of the largest width, of which those that a width leaves out are zero; a
    mixture costs one product of the largest width (TangleNAS, arXiv:2312.10440). A derived network is as wide as
    chosen, and so is what follows in it. See `dnas.choices.widths` for what may follow.

        x = Dense((2 * d, 3 * d, 4 * d), decision="expansion")(x)
        x = nn.Dense(d)(nn.gelu(x))

    Attributes:
        features: the widths to choose from.
        use_bias: whether a bias is added.
        dtype: of the computation; `None` infers it from input and parameters.
        param_dtype: of the parameters.
        precision: of the product, as `jax.lax` takes it.
        kernel_init: initialiser of the kernel `(C, features)`.
        bias_init: initialiser of the bias `(features,)`.
        decision: the name under which layers share one decision; `None` decides for this place in the model alone.
    """

    features: tuple[int, ...]
    use_bias: bool = True
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = jnp.float32
    precision: lax.PrecisionLike = None
    kernel_init: initializers.Initializer = initializers.lecun_normal()
    bias_init: initializers.Initializer = initializers.zeros_init()
    decision: str | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map `(..., C)` to `(..., features)`.

        Raises:
            UserError: if `features` is no choice of widths.
        """
        widths = widths_to_choose("Dense", self.features)
        own = decision_of(self, self.decision, tuple(map(str, widths)))._replace(widths=widths)
        (width,), factor, _ = take(own)
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], width), self.param_dtype)
        bias = self.param("bias", self.bias_init, (width,), self.param_dtype) if self.use_bias else None
        return product(x, kernel, bias, own, factor, dtype=self.dtype, precision=self.precision)


def product(
    x: Array,
    kernel: Array,
    bias: Array | None,
    decision: Decision,
    factor: Array | None,
    *,
    dtype: DTypeLike | None,
    precision: lax.PrecisionLike,
) -> Array:
    """Map `(..., C)` to `(..., features)`, for whichever library the layer is written with.

    Args:
        x: input.
        kernel: `(C, features)`.
        bias: `(features,)`.
        decision: about the width.
        factor: what the channels out are multiplied by, `(features,)`; `None` leaves them as they are.
        dtype: of the computation; `None` infers it from input and parameters.
        precision: of the product, as `jax.lax` takes it.
    """
    if factor is not None:
        kernel = kernel * factor.astype(kernel.dtype)
        bias = None if bias is None else bias * factor.astype(bias.dtype)
    x, kernel, bias = promote_dtype(x, kernel, bias, dtype=dtype)
    y = lax.dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ())), precision=precision)
    return marked(decision, y if bias is None else y + bias)


def widths_to_choose(layer: str, features: Any) -> tuple[int, ...]:
    """Return the widths that a dense layer is given.

    Args:
        layer: its class, and the one of Flax that has no choice.
        features: what it is given.

    Raises:
        UserError: if that is no choice of widths.
    """
    widths = widths_of(layer, features)
    if not isinstance(features, tuple | list):
        raise UserError(f"{layer}: features is {features}, which leaves nothing to choose: use flax's {layer}")
    return widths
