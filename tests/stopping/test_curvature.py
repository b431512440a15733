"""The largest eigenvalue against dense Hessians."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from dnas.stopping import lanczos, power_iteration

KEY = jax.random.key(0)
# Compiles faster; the programs run for milliseconds.


def largest(values: jax.Array) -> float:
    return float(values[-1]) if values.ndim else float(values)


def quadratic(eigenvalues: list[float], seed: int = 0) -> Callable[[Any], jax.Array]:
    """Return a loss over `{"a": (2, n / 2 - 1), "b": (2,)}` whose Hessian has these eigenvalues."""
    size = len(eigenvalues)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))
    hessian = jnp.asarray(rotation * np.array(eigenvalues) @ rotation.T, jnp.float32)

    def loss(alpha: Any) -> jax.Array:
        flat, _ = ravel_pytree(alpha)
        return 0.5 * flat @ hessian @ flat + flat.sum()

    return loss


def point(size: int) -> Any:
    rng = np.random.default_rng(1)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    return {"a": draw(2, (size - 2) // 2), "b": draw(2)}


SPECTRA = {
    "positive": [0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 2.5, 4.0],
    # The eigenvalue of the largest magnitude is not the largest one.
    "indefinite": [-9.0, -1.0, 0.0, 0.0, 0.5, 1.0, 1.2, 3.0],
    "negative": [-8.0, -7.0, -5.0, -4.0, -3.0, -2.0, -1.5, -0.5],
    "rank one": [0.0] * 7 + [2.0],
    "multiple": [1.0, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 5.0],
    "equal": [3.0] * 8,
    "flat": [0.0] * 8,
    "minus identity": [-3.0] * 8,
}


@pytest.mark.parametrize("measure", [lanczos, power_iteration])
@pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA)
def test_known_spectra(spectrum: list[float], measure: Callable[..., jax.Array]) -> None:
    run = jax.jit(lambda alpha, key: measure(quadratic(spectrum), alpha, key))
    assert largest(run(point(8), KEY)) == pytest.approx(max(spectrum), rel=1e-3, abs=1e-4)


def test_as_many_steps_as_parameters_give_the_whole_spectrum() -> None:
    spectrum = [-9, -1, 0.1, 0.3, 0.5, 1.0, 1.2, 3.0]
    values = jax.jit(lambda alpha: lanczos(quadratic(spectrum), alpha, KEY, steps=50))(point(8))
    np.testing.assert_allclose(values, spectrum, atol=1e-4)


def test_ritz_values_lie_within_the_spectrum_and_only_improve() -> None:
    spectrum = np.linspace(-2, 5, 40).tolist()
    top = lambda alpha, steps: lanczos(quadratic(spectrum), alpha, KEY, steps=steps)[-1]  # noqa: E731
    tops = [float(jax.jit(partial(top, steps=steps))(point(40))) for steps in (1, 4, 16)]
    assert tops == sorted(tops)
    assert tops[-1] == pytest.approx(5, rel=1e-3)
    assert max(tops) <= 5 + 1e-4
    assert tops[0] < 4


@pytest.mark.parametrize("measure", [lanczos, power_iteration])
def test_a_supernet_like_loss_against_its_dense_hessian(measure: Callable[..., jax.Array]) -> None:
    rng = np.random.default_rng(2)
    outputs = jnp.asarray(rng.normal(size=(6, 4, 5)), jnp.float32)
    alpha = {"normal": jnp.asarray(rng.normal(size=(3, 4)), jnp.float32), "reduce": jnp.zeros((3, 4))}

    def loss(alpha: Any) -> jax.Array:
        rows = jnp.concatenate([jax.nn.softmax(alpha["normal"]), jax.nn.softmax(alpha["reduce"])])
        return jax.nn.logsumexp(4 * jnp.einsum("ek,eko->o", rows, outputs)) + (rows**3).sum()

    flat, unravel = ravel_pytree(alpha)
    exact = float(np.linalg.eigvalsh(jax.jit(jax.hessian(lambda values: loss(unravel(values))))(flat))[-1])
    assert exact > 0.1
    run = jax.jit(lambda alpha, decay: measure(loss, alpha, KEY, weight_decay=decay))
    assert largest(run(alpha, 0.0)) == pytest.approx(exact, rel=2e-3)
    assert largest(run(alpha, 0.25)) == pytest.approx(exact + 0.25, rel=2e-3)


def test_layers_that_define_only_a_reverse_derivative() -> None:
    @jax.custom_vjp
    def cube(x: jax.Array) -> jax.Array:
        return x**3

    cube.defvjp(lambda x: (cube(x), x), lambda x, g: (3 * x**2 * g,))
    run = jax.jit(lambda alpha: lanczos(lambda alpha: cube(alpha["a"]).sum(), alpha, KEY))
    found = run({"a": jnp.array([1.0, 2.0, -4.0])})
    np.testing.assert_allclose(found, [-24, 6, 12], rtol=1e-4)


def test_many_starting_points_at_once() -> None:
    keys = jax.random.split(KEY, 3)
    alphas = jax.vmap(lambda key: {"a": jax.random.normal(key, (2, 3))})(keys)
    found = jax.jit(jax.vmap(lambda alpha, key: lanczos(lambda a: (a["a"] ** 4).sum(), alpha, key)[-1]))(alphas, keys)
    np.testing.assert_allclose(found, 12 * (alphas["a"] ** 2).max(axis=(1, 2)), rtol=1e-3)
