"""A planted search: the dearest operation of each edge is what the loss likes best."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.costs import CostTable
from dnas.hardware.model import CostModel, Quality
from dnas.types import Batch, Batches, Group, SearchSpace, Variables

OPS = ("none", "cheap", "middling", "dear")
SPEC = {"toy": Group(3, OPS, nodes=(((0, 0), (1, 1), (2, 2)),), keep=2, concat=(3,))}
LIKED = np.array([0.0, 0.1, 0.6, 1.0]) * np.array([[1.0], [1.1], [0.9]])
ROWS = np.array([[0.0, 1.0, 4.0, 10.0]] * 3)


class Planted:
    """Tools for searches whose every number is known: two of three edges, base 2, operations 1, 4 and 10."""

    spec = SPEC

    def space(self, **_: Any) -> SearchSpace:
        def apply(variables: Variables, mixture: Any, x: jax.Array, *, train: bool) -> Any:
            rows = getattr(mixture["toy"], "weights", mixture["toy"])
            liked = variables.params["w"] * jnp.sum(rows * jnp.asarray(LIKED, jnp.float32))
            return jnp.broadcast_to(jnp.stack([liked, 0.0 * liked]), (len(x), 2)), variables.stats

        def init(key: jax.Array, x: jax.Array) -> Variables:
            return Variables({"w": jnp.ones(())}, {})

        def refuse(*_: Any, **__: Any) -> Any:
            raise AssertionError("a search must not build a derived network")

        return SearchSpace("toy", SPEC, init, apply, refuse, refuse, refuse, self.space)

    def model(self, name: str = "pi", metric: str = "latency", rows: Any = ROWS, **parts: Any) -> CostModel:
        given = {"kind": "fitted", "space": "toy", "ops": {"toy": OPS}, "network": {}, "batch_size": 1}
        given |= {"dtype": "float32", "source": "made up", **parts}
        return CostModel(name, metric, table=CostTable(2.0, {"toy": np.asarray(rows, float)}), **given)

    def quality(self, margin: float) -> Quality:
        return Quality(10, 1.0, 1.0, 1.0, 0.0, {"0.9": 0.0, "0.95": margin})

    def batches(self, steps: int) -> Batches:
        def batch() -> Batch:
            return Batch(jnp.zeros((steps, 2, 1)), jnp.zeros((steps, 2), jnp.int32))

        return Batches(batch(), batch())


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted()
