"""What a method puts together, seen without compiling anything: its parts and options as given to its composition."""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest

from dnas.types import Batch, Batches, Bilevel, Evaluation, Hypergradient, Lower, Search, SearchState
from search_spaces import darts, nasbench201

STEPS_PER_EPOCH = 10


class Taken(NamedTuple):
    """A method's search, and the arguments of `compose` or `split_search` that make it."""

    search: Search
    parts: dict[str, Any]

    def state(self, alpha: Any) -> SearchState:
        """Return a state in which only `alpha` and the relaxation are set."""
        _, relaxation = self.parts["relaxation"].init(jax.random.key(0), self.search.space.spec)
        empty: dict[str, Any] = dict.fromkeys(SearchState._fields)
        return SearchState(**{**empty, "alpha": alpha, "relaxation": relaxation})


@pytest.fixture
def take(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Taken]:
    """Return `(method, space="darts", **settings) -> Taken`; an epoch has ten steps unless told otherwise."""

    def taken(name: str, space: Any = "darts", **settings: Any) -> Taken:
        if isinstance(space, str):
            space = {"darts": darts, "nasbench201": nasbench201}[space].space(classes=10)
        module = importlib.import_module(f"dnas.methods.{name}")
        composition = "split_search" if hasattr(module, "split_search") else "compose"
        make, parts = getattr(module, composition), {}

        def record(space: Any, **given: Any) -> Search:
            parts.update(given)
            return make(space, **given)

        with monkeypatch.context() as patch:
            patch.setattr(module, composition, record)
            search = getattr(module, name)(space, **{"steps_per_epoch": STEPS_PER_EPOCH, **settings})
        return Taken(search, parts)

    return taken


@pytest.fixture
def rate() -> Callable[..., float]:
    """Return `(optimizer, count, factor=1) -> learning rate` of SGD that has counted so many steps.

    `factor` is what momentum makes of a first gradient: 1, or 1 + momentum with Nesterov's.
    """

    def of(optimizer: optax.GradientTransformation, count: int, factor: float = 1.0) -> float:
        params = {"w": jnp.zeros(())}
        state = optax.tree_utils.tree_set(optimizer.init(params), count=jnp.asarray(count, jnp.int32))
        return -float(optimizer.update({"w": jnp.ones(())}, state, params)[0]["w"]) / factor

    return of


@pytest.fixture
def hypergradient() -> Callable[..., float]:
    """Return `(hypergradient, w, alpha, eta) -> estimate` on the solvable problem of DARTS (arXiv:1806.09055).

    The training loss is (w - alpha)^2, the validation loss alpha * w - 2 * alpha + 1, the optimiser plain descent.
    """

    def of(estimator: Hypergradient, w: float, alpha: float, eta: float) -> float:
        def inner(params: Any, alpha: Any, *_: Any) -> tuple[jax.Array, Evaluation]:
            return (params["w"] - alpha["a"]) ** 2, Evaluation((), jnp.zeros(()))

        def outer(params: Any, alpha: Any, *_: Any) -> tuple[jax.Array, Evaluation]:
            return alpha["a"] * params["w"] - 2 * alpha["a"] + 1, Evaluation((), jnp.zeros(()))

        def update(grads: Any, opt: Any, params: Any) -> tuple[Any, Any]:
            return jax.tree.map(lambda p, g: p - eta * g, params, grads), opt

        at, batch = {"w": jnp.asarray(w)}, Batch(jnp.zeros(1), jnp.zeros(1))
        found, _ = estimator.estimate(
            jax.random.key(0),
            Bilevel(inner, outer, update),
            Lower(at, (), ()),
            {"a": jnp.asarray(alpha)},
            estimator.init(at, {"a": jnp.asarray(alpha)}),
            Batches(batch, batch),
        )
        return float(found.grads["a"])

    return of
