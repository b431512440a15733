"""Every method searches a user's own model, or says in one sentence why it cannot."""

import inspect
import pkgutil
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import dnas.methods
from dnas import Batch, Batches, Choice, InputChoice, Repeat, Search, SearchSpace, SearchState, UserError, space
from dnas.choices import Dense
from dnas.selection import one_hot
from dnas.types import Array

STEPS, SIZE, CLASSES = 3, 8, 3
REFUSED = {
    **dict.fromkeys(("pc_darts", "p_darts", "drnas_progressive"), "this search space cannot be rebuilt with"),
    "darts_minus": "needs the operation 'skip_connect', which no edge of this space has",
    "oles": "in the model of Model they have names of their own",
}
"""Methods that need what this model does not have, and what they say."""


class Block(nn.Module):
    @nn.compact
    def __call__(self, x: Array) -> Array:
        return x + nn.Dense(4)(nn.tanh(Dense((4, 8), decision="expansion")(x)))


class Model(nn.Module):
    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        x = Choice({"linear": nn.Dense(4), "tanh": nn.Sequential([nn.Dense(4), nn.tanh])}, decision="stem")(x)
        x = nn.BatchNorm(use_running_average=not train)(x)
        x = Repeat(Block(), times=(1, 2), decision="depth")(x)
        x = InputChoice(decision="input")([x, nn.relu(x), nn.Dense(4)(x)])
        return nn.Dense(CLASSES)(nn.Dropout(0.1, deterministic=not train)(x))


@pytest.fixture(scope="module")
def own() -> SearchSpace:
    return space(Model(), jax.ShapeDtypeStruct((SIZE, CLASSES), jnp.float32))


@pytest.fixture(scope="module")
def batches() -> Batches:
    """Minibatches for all steps, whose labels can be read off the inputs."""
    rng = np.random.default_rng(0)

    def batch() -> Batch:
        y = rng.integers(0, CLASSES, (STEPS, SIZE))
        x = 0.3 * rng.normal(size=(STEPS, SIZE, CLASSES)) + np.eye(CLASSES)[y]
        return Batch(jnp.asarray(x, jnp.float32), jnp.asarray(y))

    return Batches(batch(), batch())


def build(name: str, own: SearchSpace) -> Search:
    """Return a method without its warm-up, over epochs of as many steps as there are."""
    factory: Callable[..., Search] = getattr(dnas, name)
    settings = {"warm_up": 0.0} if "warm_up" in inspect.signature(factory).parameters else {}
    return factory(own, epochs=3, steps_per_epoch=STEPS, **settings)


@pytest.mark.parametrize("name", sorted(each.name for each in pkgutil.iter_modules(dnas.methods.__path__)))
def test_one_trace_of_a_step_keeps_every_type(name: str, own: SearchSpace, batches: Batches) -> None:
    import_module(f"dnas.methods.{name}")
    if name in REFUSED:
        with pytest.raises(UserError, match=REFUSED[name]):
            build(name, own)
        return
    search = build(name, own)
    state = jax.eval_shape(search.init, jax.random.key(0), batches.train.x[0])
    traces = []

    def step(state: SearchState, batch: Batches) -> Any:
        traces.append(state)
        return search.step(state, batch)

    after, _ = jax.eval_shape(partial(lax.scan, step), state, batches)
    assert len(traces) == 1
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)


@pytest.mark.parametrize("name", ["darts", "darts_second_order", "drnas", "gdas"])
def test_both_levels_move_and_an_architecture_is_kept(name: str, own: SearchSpace, batches: Batches) -> None:
    search = build(name, own)
    state = search.init(jax.random.key(0), batches.train.x[0])
    run = jax.jit(partial(lax.scan, search.step))
    after, infos = run(state, batches)
    chex.assert_tree_all_finite((after.params, after.alpha, infos))
    moved = jax.tree.map(
        lambda a, b: not np.array_equal(a, b), (state.params, state.alpha), (after.params, after.alpha)
    )
    assert all(jax.tree.leaves(moved[1]))
    # A sampled path that never came up has not been trained.
    assert (any if name == "gdas" else all)(jax.tree.leaves(moved[0]))
    genotype = search.select(after)
    one_hot(own.spec, genotype)
    kept = own.inherit(genotype, search.variables(after, genotype))
    fresh = jax.eval_shape(own.build(genotype).init, jax.random.key(0), batches.train.x[0])
    chex.assert_trees_all_equal_shapes_and_dtypes(kept, fresh)


def test_its_derived_networks_equal_the_supernet(own: SearchSpace, batches: Batches, hold: Any) -> None:
    held = hold(own, batches.train.x[0])
    held.some(3)
