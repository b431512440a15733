"""What every hypergradient promises."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dnas.hypergradients
from dnas.types import Batch, Batches, Bilevel, Estimate, Evaluation, Hypergradient, Lower

PACKAGE = dnas.hypergradients
OPTIMIZER = optax.sgd(0.1, momentum=0.9)


def objective(params: Any, alpha: Any, stats: Any, batch: Batch, key: jax.Array) -> tuple[jax.Array, Evaluation]:
    """Return a smooth loss of a linear model whose two halves alpha mixes."""
    mixed = jnp.einsum("eio,e->io", params["w"], jax.nn.softmax(alpha["mix"][0]))
    outputs = batch.x @ mixed + params["b"]
    return jnp.mean((outputs - batch.y) ** 2), Evaluation({"seen": stats["seen"] + 1.0}, outputs)


def update(grads: Any, opt: Any, params: Any) -> tuple[Any, Any]:
    updates, opt = OPTIMIZER.update(grads, opt, params)
    return optax.apply_updates(params, updates), opt


PROBLEM = Bilevel(objective, objective, update)


@pytest.fixture(scope="module")
def lower() -> Lower:
    rng = np.random.default_rng(0)
    params = {
        "w": jnp.asarray(rng.normal(size=(2, 4, 3)), jnp.float32),
        "b": jnp.asarray(rng.normal(size=3), jnp.float32),
    }
    return Lower(params, {"seen": jnp.zeros(())}, OPTIMIZER.init(params))


@pytest.fixture(scope="module")
def batches() -> Batches:
    rng = np.random.default_rng(1)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    return Batches(Batch(draw(6, 4), draw(6, 3)), Batch(draw(6, 4), draw(6, 3)))


@pytest.fixture(scope="module")
def alpha() -> Any:
    return {"mix": jnp.array([[0.3, -0.2]])}


def test_estimate(factory: Callable[[], Hypergradient], lower: Lower, batches: Batches, alpha: Any) -> None:
    hypergradient = factory()
    assert isinstance(hypergradient, Hypergradient)
    state = hypergradient.init(lower.params, alpha)

    def step(state: Any, key: jax.Array) -> Any:
        estimate, state = hypergradient.estimate(key, PROBLEM, lower, alpha, state, batches)
        return state, estimate

    later, estimates = jax.jit(lambda state: jax.lax.scan(step, state, jax.random.split(jax.random.key(0), 2)))(state)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, later)
    assert isinstance(estimates, Estimate)
    estimate = jax.tree.map(lambda leaf: leaf[0], estimates)
    chex.assert_trees_all_equal_shapes_and_dtypes(estimate.grads, alpha)
    chex.assert_tree_all_finite(estimate)
    assert float(jnp.abs(estimate.grads["mix"]).max()) > 1e-3

    loss, evaluation = objective(lower.params, alpha, lower.stats, batches.valid, jax.random.key(0))
    assert estimate.loss.shape == ()
    assert estimate.evaluation.outputs.shape == evaluation.outputs.shape
    chex.assert_trees_all_equal_shapes_and_dtypes(estimate.evaluation.stats, lower.stats)
    # Every estimate is of the validation loss, at the present weights or near them.
    assert float(estimate.loss) == pytest.approx(float(loss), rel=0.5)


def test_the_estimate_points_uphill(
    factory: Callable[[], Hypergradient], lower: Lower, batches: Batches, alpha: Any
) -> None:
    hypergradient = factory()
    state = hypergradient.init(lower.params, alpha)
    same = Batches(batches.valid, batches.valid)
    estimate, _ = hypergradient.estimate(jax.random.key(0), PROBLEM, lower, alpha, state, same)
    lowered = jax.tree.map(lambda a, g: a - 0.01 * g, alpha, estimate.grads)
    before, after = (
        objective(lower.params, a, lower.stats, same.valid, jax.random.key(0))[0] for a in (alpha, lowered)
    )
    assert after < before


def test_vmap_equals_separate_estimates(
    factory: Callable[[], Hypergradient], lower: Lower, batches: Batches, alpha: Any
) -> None:
    hypergradient = factory()

    def run(alpha: Any) -> Estimate:
        state = hypergradient.init(lower.params, alpha)
        return hypergradient.estimate(jax.random.key(0), PROBLEM, lower, alpha, state, batches)[0]

    several = {"mix": jnp.stack([alpha["mix"], -3.0 * alpha["mix"]])}
    together = jax.jit(jax.vmap(run))(several)
    for index in range(2):
        single = jax.jit(run)({"mix": several["mix"][index]})
        own = jax.tree.map(lambda leaf, index=index: leaf[index], together)
        chex.assert_trees_all_close(own, single, rtol=1e-4, atol=1e-5)


def test_no_estimate_is_farther_from_the_truth_than_the_partial_gradient(factory: Callable[[], Hypergradient]) -> None:
    """The inner loss is |w|^2_H / 2 - w'alpha, the outer w'v, and w is optimal: the truth is H^-1 v, the partial 0."""
    curvature, v = jnp.array([0.5, 1.0, 2.0, 4.0]), jnp.array([1.0, -1.0, 2.0, 0.5])

    def inner(params: Any, alpha: Any, stats: Any, batch: Batch, key: jax.Array) -> tuple[jax.Array, Evaluation]:
        w = params["w"]
        return jnp.sum(curvature * w**2) / 2 - jnp.sum(w * alpha["mix"][0]), Evaluation(stats, batch.x)

    def outer(params: Any, alpha: Any, stats: Any, batch: Batch, key: jax.Array) -> tuple[jax.Array, Evaluation]:
        return jnp.sum(params["w"] * v), Evaluation(stats, batch.x)

    alpha = {"mix": jnp.array([[0.3, -0.2, 1.0, 0.1]])}
    params = {"w": alpha["mix"][0] / curvature}
    lower = Lower(params, {}, OPTIMIZER.init(params))
    batch = Batch(jnp.zeros((2, 1)), jnp.zeros((2, 1)))
    hypergradient = factory()
    state = hypergradient.init(params, alpha)
    for turn in range(2):
        estimate, state = hypergradient.estimate(
            jax.random.key(turn), Bilevel(inner, outer, update), lower, alpha, state, Batches(batch, batch)
        )
    distance = jnp.linalg.norm(estimate.grads["mix"][0] - v / curvature)
    assert float(distance) <= float(jnp.linalg.norm(v / curvature)) * (1 + 1e-6)


def test_says_whether_it_differentiates_a_gradient(
    factory: Callable[[], Hypergradient], lower: Lower, batches: Batches, alpha: Any
) -> None:
    """The compiler is told of it: a loss whose gradient reports when it is differentiated knows."""
    seen = []

    @jax.custom_jvp
    def slope(x: jax.Array) -> jax.Array:
        return jnp.cos(x)

    @slope.defjvp
    def differentiated(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
        seen.append(True)
        return jnp.cos(primals[0]), -jnp.sin(primals[0]) * tangents[0]

    @jax.custom_jvp
    def bend(x: jax.Array) -> jax.Array:
        return jnp.sin(x)

    bend.defjvp(lambda primals, tangents: (jnp.sin(primals[0]), slope(primals[0]) * tangents[0]))

    def bent(*given: Any) -> tuple[jax.Array, Evaluation]:
        loss, evaluation = objective(*given)
        return bend(loss), evaluation

    hypergradient = factory()
    state = hypergradient.init(lower.params, alpha)
    hypergradient.estimate(jax.random.key(0), Bilevel(bent, bent, update), lower, alpha, state, batches)
    assert bool(seen) == hypergradient.second_order
