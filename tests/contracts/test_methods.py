"""What every method promises: a search that runs under `jit` and `scan` with one trace."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas.methods
from dnas.types import Batch, Batches, Search, SearchInfo
from search_spaces import darts

PACKAGE = dnas.methods
OPS = ("none", "max_pool_3x3", "skip_connect")
SPACE = darts.space(classes=3, channels=2, cells=3, nodes=1, ops=OPS)
# Compiles in half the time; the programs run for milliseconds.
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def draw(steps: int) -> Batches:
    rng = np.random.default_rng(0)

    def batch() -> Batch:
        x = jnp.asarray(rng.normal(size=(steps, 4, 4, 4, 1)), jnp.float32)
        return Batch(x, jnp.asarray(rng.integers(0, 3, (steps, 4))))

    return Batches(batch(), batch())


@pytest.fixture(scope="module")
def search(factory: Callable[..., Search]) -> Search:
    return factory(SPACE, steps_per_epoch=2)


def test_every_hyper_parameter_has_a_default_and_a_line_of_help(factory: Callable[..., Search]) -> None:
    space, *rest = inspect.signature(factory).parameters.values()
    assert space.name == "space"
    for parameter in rest:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is not inspect.Parameter.empty or parameter.name == "steps_per_epoch"
        assert f"{parameter.name}: " in (inspect.getdoc(factory) or ""), parameter.name


def test_steps_run_under_jit_and_scan_with_one_trace(search: Search) -> None:
    assert isinstance(search, Search)
    assert search.space is SPACE
    batches = draw(2)
    state = jit(lambda key: search.init(key, batches.train.x[0]))(jax.random.key(0))

    # The loop's own abstract evaluation is the one trace.
    step = chex.assert_max_traces(search.step, n=1)
    run = jit(lambda state, batches: jax.lax.scan(step, state, batches))
    after, infos = run(state, batches)
    after, infos = run(after, batches)
    assert isinstance(infos, SearchInfo)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert int(after.step) == 4
    leaves: Any = after._replace(key=jax.random.key_data(after.key))
    chex.assert_tree_all_finite((leaves, infos))
    for values in infos:
        assert (values.shape, values.dtype) == ((2,), jnp.float32)
    assert all(not np.array_equal(after.alpha[name], state.alpha[name]) for name in SPACE.spec)
    assert not jax.tree.all(jax.tree.map(np.array_equal, after.params, state.params))

    weights = search.weights(after)
    assert {name: rows.shape for name, rows in weights.items()} == {"normal": (2, len(OPS)), "reduce": (2, len(OPS))}
    assert jax.eval_shape(search.predict, after, batches.valid.x[0]).shape == (4, 3)
    darts.check_genotype(search.select(after))
