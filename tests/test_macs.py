"""Multiply-adds counted from a traced program: closed forms, and a second route for whole networks."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from dnas.macs import count_macs
from dnas.nn.conv import convolve
from search_spaces import darts, nasbench201

X = jax.ShapeDtypeStruct((4, 8, 8, 3), jnp.float32)
KERNEL = jax.ShapeDtypeStruct((3, 3, 3, 5), jnp.float32)
ONE = 4 * 8 * 8 * 5 * 9 * 3
"""Of one 3x3 convolution of `X` with `KERNEL`."""


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return convolve(x, kernel, (1, 1), (1, 1))


def loss(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return (conv(x, kernel) ** 2).sum()


def test_matrix_products() -> None:
    a, b = jnp.zeros((7, 3, 5)), jnp.zeros((7, 5, 11))
    assert count_macs(jnp.matmul, a, b) == 7 * 3 * 5 * 11
    assert count_macs(jax.vmap(jnp.dot), jnp.zeros((6, 4)), jnp.zeros((6, 4))) == 24
    assert count_macs(jnp.add, a, a) == 0


def test_a_convolution_and_its_derivatives() -> None:
    assert count_macs(conv, X, KERNEL) == ONE
    assert count_macs(jax.grad(loss, 0), X, KERNEL) == 2 * ONE
    assert count_macs(jax.grad(loss, (0, 1)), X, KERNEL) == 3 * ONE


@pytest.mark.parametrize("strides", [(2, 2), (1, 2)])
def test_the_derivatives_of_a_strided_convolution_cost_as_much_as_itself(strides: tuple[int, int]) -> None:
    forward = partial(convolve, strides=strides, padding=(1, 1))
    own = count_macs(forward, X, KERNEL)
    assert own == ONE // (strides[0] * strides[1])
    both = count_macs(jax.grad(lambda x, kernel: (forward(x, kernel) ** 2).sum(), (0, 1)), X, KERNEL)
    assert both == 3 * own


def test_groups_count_their_own_channels() -> None:
    def depthwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=3
        )

    assert count_macs(depthwise, X, jnp.zeros((3, 3, 1, 3))) == 4 * 8 * 8 * 3 * 9


def test_loops_branches_and_nested_functions() -> None:
    a = jnp.zeros((5, 5))
    once = 5**3
    assert count_macs(lambda a: jax.lax.scan(lambda c, _: (c @ a, None), a, length=7)[0], a) == 7 * once
    assert count_macs(lambda a: jax.lax.cond(True, lambda: a @ a @ a, lambda: a @ a), a) == 2 * once
    assert count_macs(jax.jit(jax.checkpoint(lambda a: a @ a)), a) == once


def test_what_nothing_depends_on_is_not_counted() -> None:
    def wasteful(a: jax.Array) -> jax.Array:
        _ = a @ a
        return a

    assert count_macs(wasteful, jnp.zeros((5, 5))) == 0


@pytest.mark.parametrize(("module", "name"), [(nasbench201, "6111"), (darts, "DARTS_V2")], ids=["nasbench201", "darts"])
def test_two_routes_to_a_network_s_multiply_adds(module: object, name: str) -> None:
    shape = (32, 32, 3)
    network = module.build(module.named(name), classes=10, channels=4)  # type: ignore[attr-defined]
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), x)
    counted = count_macs(lambda v, x: network.apply(v, x, train=False)[0], variables, x)
    assert counted == network.workload(shape).macs > 0
