"""Initialisers with the distribution that the published results were obtained with."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.nn import initializers
from jax.typing import DTypeLike

torch_uniform = initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""Uniform on ±1/sqrt(fan in): PyTorch's default for convolutions and dense layers, used by the DARTS code."""


def torch_bias(fan_in: int) -> Callable[..., jax.Array]:
    """Return the initialiser of a dense layer's bias: uniform on ±1/sqrt(fan in)."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
        bound = fan_in**-0.5
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init
