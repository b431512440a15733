"""What a method puts together, seen without compiling anything: its parts and options as given to its composition."""

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas.genotype import Genotype
from dnas.types import (
    Batch,
    Batches,
    Bilevel,
    Evaluation,
    Group,
    Hypergradient,
    Lower,
    Network,
    Search,
    SearchSpace,
    SearchState,
    Variables,
    Workload,
)
from search_spaces import darts, nasbench201

STEPS_PER_EPOCH = 10
BUILT_ON = {"drnas_progressive": "drnas"}
"""Methods that are composed by another one."""


class Taken(NamedTuple):
    """A method's search, and the arguments of `compose` or `split_search` that make it."""

    search: Search
    parts: dict[str, Any]

    def state(self, alpha: Any) -> SearchState:
        """Return a state before the first step, in which only `alpha` and the relaxation are set."""
        _, relaxation = self.parts["relaxation"].init(jax.random.key(0), self.search.space.spec)
        empty: dict[str, Any] = dict.fromkeys(SearchState._fields)
        return SearchState(**{**empty, "alpha": alpha, "relaxation": relaxation, "step": jnp.zeros((), jnp.int32)})


@pytest.fixture
def take(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Taken]:
    """Return `(method, space="darts", **settings) -> Taken`; an epoch has ten steps unless told otherwise."""

    def taken(name: str, space: Any = "darts", **settings: Any) -> Taken:
        if isinstance(space, str):
            space = {"darts": darts, "nasbench201": nasbench201}[space].space(classes=10)
        module = importlib.import_module(f"dnas.methods.{name}")
        composing = importlib.import_module(f"dnas.methods.{BUILT_ON.get(name, name)}")
        composition = "split_search" if hasattr(composing, "split_search") else "compose"
        make, parts = getattr(composing, composition), {}

        def record(space: Any, **given: Any) -> Search:
            parts.update(given)
            return make(space, **given)

        with monkeypatch.context() as patch:
            patch.setattr(composing, composition, record)
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


WIDTH = 4
OPS = ("none", "skip_connect", "linear", "deep")
SPEC = {"cell": Group(3, OPS, nodes=(((0, 0), (1, 1), (2, 2)),), keep=2, concat=(3,))}
PRICES = {"none": (0, 0), "skip_connect": (0, 0), "linear": (100, 1000), "deep": (250, 9000)}
"""Parameters and multiply-adds of an operation on the first edge; the next has twice, the last three times as many."""
BASE = (7, 70)


class Small(NamedTuple):
    """A space of a few matrix products and what makes a search on it run.

    Attributes:
        space: the space; its images are 2x2x1.
        example: an image to start from.
        batches: minibatches for 60 steps, along a leading axis.
        run: `(search, steps) -> states after each step`, with a leading axis.
    """

    space: SearchSpace
    example: jax.Array
    batches: Batches
    run: Callable[[Search, int], SearchState]


@pytest.fixture(scope="session")
def small() -> Small:
    def init(key: jax.Array, x: jax.Array) -> Variables:
        shapes = {"stem": (4, WIDTH), "head": (WIDTH, 2), "linear": (3, WIDTH, WIDTH), "deep": (3, WIDTH, WIDTH)}
        drawn = {
            name: 0.5 * jax.random.normal(own, shapes[name])
            for own, name in zip(jax.random.split(key, len(shapes)), shapes, strict=True)
        }
        edges = {f"edges_{op}": {"kernel": drawn.pop(op)} for op in OPS[2:]}
        return Variables({**drawn, "cell": edges}, {})

    def apply(variables: Variables, mixture: Any, x: jax.Array, *, train: bool) -> Any:
        params = variables.params
        h = x.reshape(len(x), -1) @ params["stem"]
        states = jnp.stack([h, jnp.sin(h), jnp.cos(h)])
        linear, deep = (params["cell"][f"edges_{op}"]["kernel"] for op in OPS[2:])
        values = jnp.stack([0 * states, states, states @ linear, jnp.tanh(states @ deep)])
        return jnp.einsum("ek,kebc->bc", mixture["cell"], values) @ params["head"], {}

    def build(genotype: Genotype, *, searched: bool = False) -> Network:
        assert searched
        (node,) = genotype["cell"].nodes
        total = [sum((edge.source + 1) * PRICES[edge.op][resource] for edge in node) for resource in (0, 1)]

        def workload(shape: Any) -> Workload:
            assert shape == (2, 2, 1)
            return Workload(BASE[0] + total[0], BASE[1] + total[1])

        return Network(None, None, workload)  # type: ignore[arg-type]

    rng = np.random.default_rng(0)
    train, valid = (
        Batch(jnp.asarray(rng.normal(size=(60, 8, 2, 2, 1)), jnp.float32), jnp.asarray(rng.integers(0, 2, (60, 8))))
        for _ in range(2)
    )
    batches = Batches(train, valid)

    def run(search: Search, steps: int) -> SearchState:
        def step(state: SearchState, batch: Batches) -> Any:
            state, _ = search.step(state, batch)
            return state, state

        @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
        def scanned(key: jax.Array) -> SearchState:
            given = jax.tree.map(lambda leaf: leaf[:steps], batches)
            return jax.lax.scan(step, search.init(key, train.x[0]), given)[1]

        return scanned(jax.random.key(0))

    space = SearchSpace("small", SPEC, init, apply, build, None, None)  # type: ignore[arg-type]
    return Small(space, train.x[0], batches, run)
