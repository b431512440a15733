"""Random variables of a network without compiling its initialiser."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.types import Variables

Fill = Callable[[Callable[..., Variables], tuple[int, ...]], Variables]


@pytest.fixture(scope="session")
def filled() -> Fill:
    """Return `(init, shape of x) -> Variables`: weights of unit gain and running statistics far from their start."""

    def fill(init: Callable[..., Variables], shape: tuple[int, ...]) -> Variables:
        rng = np.random.default_rng(0)
        shapes = jax.eval_shape(init, jax.random.key(0), jnp.zeros(shape))

        def draw(path: tuple[Any, ...], leaf: Any) -> jax.Array:
            name = path[-1].key
            if name in ("var", "scale"):
                return jnp.asarray(rng.uniform(0.5, 2.0, leaf.shape), leaf.dtype)
            fan_in = np.prod(leaf.shape[-4:-1]) if name == "kernel" else 1.0
            return jnp.asarray(rng.normal(0.0, fan_in**-0.5, leaf.shape), leaf.dtype)

        return jax.tree_util.tree_map_with_path(draw, shapes)

    return fill
