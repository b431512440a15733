"""Toy spaces of four architectures: each of two edges takes its input's column as it is or squared."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas.run.interrupt import Interrupted
from dnas.selection import one_hot
from dnas.types import Group, Network, Output, SearchSpace, Task, Variables, Workload

OPS = ("linear", "square")
SPEC = {"edges": Group(2, OPS, nodes=(((0, 0), (1, 1)),), keep=2, concat=(2,))}


def toy_space(task: Task | None, outputs: int = 1) -> SearchSpace:
    """Return the space whose networks weigh two columns of their input, plain or squared, for each of the outputs."""

    def init(key: jax.Array, x: Any) -> Variables:
        del x
        return Variables({"w": 0.5 * jax.random.normal(key, (2, outputs)), "b": jnp.zeros(outputs)}, {})

    def apply(variables: Variables, mixture: Any, x: Any, *, train: bool) -> Any:
        del train
        columns, rows = jax.tree.leaves(x)[0].reshape(-1, 2), mixture["edges"]
        h = rows[:, 0] * columns + rows[:, 1] * jnp.square(columns)
        return h @ variables.params["w"] + variables.params["b"], variables.stats

    def build(genotype: Any, **settings: Any) -> Network:
        assert not settings
        mixture = one_hot(SPEC, genotype)

        def run(variables: Variables, x: Any, *, train: bool, key: Any = None, drop_path: Any = 0.0) -> Any:
            del key, drop_path
            outputs, stats = apply(variables, mixture, x, train=train)
            return Output(outputs), stats

        return Network(init, run, lambda shape: Workload(2 * outputs + outputs, 0))

    return SearchSpace(
        "toy", SPEC, init, apply, build, lambda genotype, variables: variables, lambda shape: None, task=task
    )


@pytest.fixture(scope="session")
def toy() -> Callable[..., SearchSpace]:
    """Return `(task, outputs=1) -> space`."""
    return toy_space


@pytest.fixture(scope="session")
def planted() -> tuple[np.ndarray, np.ndarray]:
    """Return 96 examples of y = x0^2 - x1, of which a square on the first edge and a line on the second know all."""
    x = np.random.default_rng(0).uniform(-1, 1, (96, 2)).astype(np.float32)
    return x, x[:, 0] ** 2 - x[:, 1]


def found_bits(found: dnas.Found) -> list[Any]:
    """Everything of a result that two equal runs share, bit for bit: all but times."""

    def timeless(lines: Any) -> list[Any]:
        return [{name: value for name, value in line.items() if "second" not in name} for line in lines]

    state = found.state._replace(key=jax.random.key_data(found.state.key))
    trees = (state, found.variables, [one.variables for one in found.baseline])
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(trees)]
    rivals = [(one.genotype, one.scores, timeless(one.history)) for one in found.baseline]
    return [leaves, found.genotype, found.scores, timeless(found.history), timeless(found.training), rivals]


@pytest.fixture(scope="session")
def bits() -> Callable[[dnas.Found], list[Any]]:
    """Return `(found) -> everything of it but times`."""
    return found_bits


@pytest.fixture
def again_and_again(stop_after: Any) -> Callable[..., tuple[dnas.Found, int]]:
    """Return `(call, chunks) -> (found, stops)`: a call that is stopped after so many chunks until it comes through."""

    def drive(call: Callable[..., dnas.Found], chunks: int) -> tuple[dnas.Found, int]:
        for stops in range(100):
            try:
                return call(stop=stop_after(chunks)), stops
            except Interrupted:
                continue
        raise AssertionError("never finished")

    return drive
