"""Bilevel problems in float64 with known answers."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from dnas.optimizers import clipped_sgd
from dnas.types import Batch, Batches, Bilevel, Estimate, Evaluation, Hypergradient, Lower

RATE = 0.1


class Case(NamedTuple):
    """A problem, and what an estimate of it is given.

    Attributes:
        problem, lower, alpha, batches: as `Hypergradient.estimate` takes them.
        estimate: `(hypergradient, **changes) -> Estimate`, the first one, with some of the above replaced.
    """

    problem: Bilevel
    lower: Lower
    alpha: Any
    batches: Batches

    def estimate(self, hypergradient: Hypergradient, **changes: Any) -> Estimate:
        case = self._replace(**changes)

        @jax.jit
        def run(lower: Lower, alpha: Any, batches: Batches) -> Estimate:
            state = hypergradient.init(lower.params, alpha)
            return hypergradient.estimate(jax.random.key(0), case.problem, lower, alpha, state, batches)[0]

        return run(case.lower, case.alpha, case.batches)


def stepping(optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    """Return an optimiser as the `update` of a bilevel problem."""

    def update(grads: Any, opt: Any, params: Any) -> Any:
        updates, opt = optimizer.update(grads, opt, params)
        return optax.apply_updates(params, updates), opt

    return update


class Quadratic(NamedTuple):
    """Inner loss w'Hw / 2 - w'(M alpha + c), outer loss |w - t|^2 / 2 + w'K alpha + |alpha|^2 / 2 + alpha'y.

    A minibatch's `x` is noise that is added to c and to t, and its `y` is noise of the outer loss.

    Attributes:
        case: at the inner optimum, with plain gradient descent.
        hessian, mixed: H and M.
        v, d: the outer gradients for the weights and for alpha.
        rate: the learning rate.
    """

    case: Case
    hessian: np.ndarray
    mixed: np.ndarray
    v: np.ndarray
    d: np.ndarray
    rate: float

    def through(self, solution: np.ndarray) -> np.ndarray:
        """Return the hypergradient for some approximation of H^-1 v."""
        return self.d + self.mixed.T @ solution

    @property
    def truth(self) -> np.ndarray:
        return self.through(np.linalg.solve(self.hessian, self.v))


@pytest.fixture
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def matrix(rng: np.random.Generator, spectrum: list[float]) -> np.ndarray:
    basis = np.linalg.qr(rng.normal(size=(len(spectrum), len(spectrum))))[0]
    return basis @ np.diag(spectrum) @ basis.T


@pytest.fixture
def quadratic(double: None) -> Callable[..., Quadratic]:
    """Return `(spectrum) -> Quadratic` with five weights, in two blocks, and three entries of alpha."""

    def make(spectrum: tuple[float, ...] = (0.5, 1.0, 2.0, 3.0, 4.0)) -> Quadratic:
        rng = np.random.default_rng(0)
        hessian = matrix(rng, list(spectrum))
        mixed, cross = rng.normal(size=(2, 5, 3))
        c, t = rng.normal(size=(2, 5))
        alpha = rng.normal(size=3)
        w = np.linalg.solve(hessian, mixed @ alpha + c)
        params, unravel = ravel_pytree({"a": jnp.zeros(3), "b": {"c": jnp.zeros((2, 1))}})

        def split(alpha: Any) -> jax.Array:
            return jnp.concatenate([alpha["mix"].ravel(), alpha["edges"]])

        def inner(params: Any, alpha: Any, stats: Any, batch: Batch, key: Any) -> Any:
            w = ravel_pytree(params)[0]
            value = w @ hessian @ w / 2 - w @ (mixed @ split(alpha) + c + batch.x)
            return value, Evaluation(stats, w)

        def outer(params: Any, alpha: Any, stats: Any, batch: Batch, key: Any) -> Any:
            w, a = ravel_pytree(params)[0], split(alpha)
            value = jnp.sum((w - t - batch.x) ** 2) / 2 + w @ cross @ a + a @ a / 2 + a @ batch.y
            return value, Evaluation(stats, w)

        optimizer = optax.sgd(RATE)
        lower = Lower(unravel(jnp.asarray(w)), {}, optimizer.init(unravel(params)))
        start = {"mix": jnp.asarray(alpha[:2])[None], "edges": jnp.asarray(alpha[2:])}
        still = Batch(jnp.zeros(5), jnp.zeros(3))
        case = Case(Bilevel(inner, outer, stepping(optimizer)), lower, start, Batches(still, still))
        return Quadratic(case, hessian, mixed, w - t + cross @ alpha, cross.T @ w + alpha, RATE)

    return make


@pytest.fixture
def flat() -> Callable[[Any], np.ndarray]:
    """Return `(gradient for alpha) -> (3,)` in the order of the quadratic problem's matrices."""
    return lambda grads: np.concatenate([np.ravel(grads["mix"]), np.ravel(grads["edges"])])


@pytest.fixture
def network(double: None) -> Callable[..., Case]:
    """Return `(clip_norm) -> Case` of a small smooth network whose optimiser has momentum, decay and clipping.

    Its trace is not empty, its gradient norm is 0.43, and the edges' operations are mixed by a softmax.
    """

    def make(clip_norm: float = 0.0) -> Case:
        rng = np.random.default_rng(1)
        draw = lambda *shape: jnp.asarray(rng.normal(size=shape))  # noqa: E731
        optimizer = clipped_sgd(0.2, 0.9, 0.05, clip_norm)
        params = {"first": draw(2, 4, 6) / 2, "last": draw(6, 3) / 2}

        def objective(params: Any, alpha: Any, stats: Any, batch: Batch, key: Any) -> Any:
            weights = jax.nn.softmax(alpha["mix"], axis=-1)
            hidden = jnp.einsum("ni,eio,e->no", batch.x, params["first"], weights[0])
            outputs = (weights[1, 0] * jnp.tanh(hidden) + weights[1, 1] * jnp.sin(hidden)) @ params["last"]
            return optax.softmax_cross_entropy(outputs, batch.y).mean(), Evaluation(
                {"seen": stats["seen"] + 1}, outputs
            )

        opt = optimizer.update(
            jax.tree.map(lambda leaf: 0.3 * draw(*leaf.shape), params), optimizer.init(params), params
        )[1]
        batch = lambda: Batch(draw(8, 4), jax.nn.softmax(3 * draw(8, 3)))  # noqa: E731
        problem = Bilevel(objective, objective, stepping(optimizer))
        return Case(
            problem, Lower(params, {"seen": jnp.zeros(())}, opt), {"mix": draw(2, 2)}, Batches(batch(), batch())
        )

    return make
