"""The machine's matrix-product peak: what a large square product reaches, which nothing we run can pass."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dnas.bench.timing import Runner, seconds_of

SMALLEST, LARGEST = 512, 16384
LONG_ENOUGH = 0.02
"""Seconds after which a larger product reaches no more."""


class Product(NamedTuple):
    """A square matrix product to run, and its multiply-adds."""

    runner: Runner
    macs: int


def product(dtype: str) -> Product:
    """Return a product in `dtype` that lasts `LONG_ENOUGH`, warmed up.

    The precision is the one that programs get that ask for none: TF32 for float32 on recent NVIDIA devices.
    """
    size = SMALLEST
    while True:
        runner = _runner(size, dtype)
        runner()
        if size >= LARGEST or seconds_of(runner, 1) >= LONG_ENOUGH:
            return Product(runner, size**3)
        size *= 2


def _runner(size: int, dtype: str) -> Runner:
    keys = jax.random.split(jax.random.key(0))
    left, right = (jax.random.normal(key, (size, size), jnp.dtype(dtype)) for key in keys)
    multiply = jax.jit(jnp.matmul)

    def run() -> None:
        multiply(left, right).block_until_ready()

    return run
