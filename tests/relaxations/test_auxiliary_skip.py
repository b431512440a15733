"""DARTS-'s auxiliary skip connection, beside mixtures and beside paths."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.relaxations import auxiliary_skip, binary_gates, gdas, softmax
from dnas.types import Group, Relaxation

SPEC = {"g": Group(6, ("none", "sep_conv_3x3", "skip_connect")), "bare": Group(2, ("none", "sep_conv_3x3"))}
ALPHA = {name: jax.random.normal(jax.random.key(1), (group.edges, len(group.ops))) for name, group in SPEC.items()}
OUTPUTS = jax.random.normal(jax.random.key(2), (6, 3, 9))
INNER = {"softmax": softmax, "gdas": gdas, "two gates": binary_gates}


def walked(relaxation: Relaxation, steps: int) -> Any:
    alpha, state = relaxation.init(jax.random.key(0), SPEC)
    advance = jax.jit(relaxation.advance)
    for _ in range(steps):
        alpha, state = advance(jax.random.key(0), alpha, alpha, state)
    return state


@pytest.mark.parametrize("inner", INNER)
def test_the_mixture_has_a_skip_connection_more(inner: str, mix: Callable) -> None:
    target = jax.random.normal(jax.random.key(4), (6, 9))

    def look(relaxation: Relaxation, state: Any) -> tuple[jax.Array, jax.Array]:
        def loss(alpha: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
            out = mix(relaxation.weights(key, alpha, state)["g"], OUTPUTS)
            return jnp.sum(out * target), out

        slope, out = jax.vmap(jax.grad(loss, has_aux=True), (None, 0))(ALPHA, jax.random.split(jax.random.key(0), 8))
        return out, slope["g"]

    plain, relaxation = INNER[inner](), auxiliary_skip(INNER[inner](), steps=4)
    both = jax.jit(lambda state: (look(relaxation, state), look(plain, state.inner)))
    for steps, beta in ((0, 1.0), (1, 0.75), (4, 0.0)):
        (got, slope), (own, own_slope) = both(walked(relaxation, steps))
        np.testing.assert_allclose(got, own + beta * OUTPUTS[:, 2], atol=1e-5)
        # What is added depends on nothing that is learnt.
        np.testing.assert_allclose(slope, own_slope, atol=1e-5)


@pytest.mark.parametrize("inner", ["gdas", "two gates"])
def test_active_columns_hold_the_skip_connection_and_are_all_different(inner: str) -> None:
    relaxation = auxiliary_skip(INNER[inner]())
    state = walked(relaxation, 0)
    draw = jax.jit(relaxation.weights)
    for seed in range(6):
        active = np.sort(draw(jax.random.key(seed), ALPHA, state)["g"].active, axis=-1)
        assert (active == 2).any(axis=-1).all()
        assert (np.diff(active, axis=-1) > 0).all()
        assert active.shape == (6, 2 if inner == "gdas" else 3)


def test_nothing_else_changes() -> None:
    relaxation, key = auxiliary_skip(), jax.random.key(0)
    state = walked(relaxation, 0)
    for name, rows in relaxation.expected(ALPHA, state).items():
        np.testing.assert_array_equal(rows, jax.nn.softmax(ALPHA[name]))
    np.testing.assert_array_equal(relaxation.weights(key, ALPHA, state)["bare"], jax.nn.softmax(ALPHA["bare"]))
    # A pair of two operations leaves no column to compute beside them.
    two = {"g": Group(3, ("skip_connect", "sep_conv_3x3"))}
    wrapped = auxiliary_skip(binary_gates())
    alpha, state = wrapped.init(key, two)
    assert wrapped.weights(key, alpha, state)["g"].active.shape == (3, 2)


def test_cosine_course() -> None:
    state = walked(auxiliary_skip(steps=4, schedule="cosine"), 1)
    assert float(state.beta.value) == pytest.approx((1 + np.cos(np.pi / 4)) / 2)


def test_a_space_without_skip_connections_is_refused(sentence: Callable) -> None:
    with sentence("'skip_connect'", "none"):
        auxiliary_skip().init(jax.random.key(0), {"bare": SPEC["bare"]})
