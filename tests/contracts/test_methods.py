"""What every method promises, on a space of a few matrix products that has all that a method may ask of one."""

import inspect
import re
import typing
from collections.abc import Callable
from functools import cache, partial
from types import ModuleType
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import dnas
import dnas.methods
from dnas.selection import one_hot
from dnas.types import Batch, Batches, Group, Paths, Search, SearchInfo, SearchSpace, SearchState, Variables

PACKAGE = dnas.methods
CLASSES, CHANNELS, SIZE = 3, 8, 8
OPS = ("none", "skip_connect", "linear", "tanh")
SPEC = {
    "cell": Group(3, OPS, nodes=(((0, 0), (1, 1), (2, 2)),), keep=2, concat=(3,)),
    "whole": Group(2, OPS, nodes=(((0, 0), (1, 1)),), keep=None, concat=(2,)),
}
STEPS = 4


def toy(partial_channels: int = 1, dtype: str = "float32", cells: int = 1) -> SearchSpace:
    """Return the space; its statistics are a running mean, which stands for the minibatch's in evaluation.

    All its cells have the same weights.
    """
    width, kind = CHANNELS // partial_channels, jnp.dtype(dtype)

    def init(key: jax.Array, x: jax.Array) -> Variables:
        shapes: dict[str, tuple[int, ...]] = {"stem": (x[0].size, CHANNELS), "head": (CHANNELS, CLASSES)}
        shapes |= {f"{name}/{op}": (SPEC[name].edges, width, width) for name in SPEC for op in OPS[2:]}
        keys = jax.random.split(key, len(shapes))
        params = {
            name: jax.random.normal(own, shape) * shape[-2] ** -0.5
            for own, (name, shape) in zip(keys, shapes.items(), strict=True)
        }
        return Variables(params, {"mean": jnp.zeros(CHANNELS)})

    def apply(variables: Variables, mixture: Any, x: jax.Array, *, train: bool) -> tuple[jax.Array, Any]:
        params = jax.tree.map(lambda leaf: leaf.astype(kind), variables.params)
        rows = {name: dense(mixture[name]).astype(kind) for name in SPEC}
        h = x.reshape(len(x), -1).astype(kind) @ params["stem"]
        for name, group in tuple(SPEC.items()) * cells:
            h = node(params, name, rows[name], jnp.stack([h, jnp.sin(h), jnp.cos(h)][: group.edges]))
        mean, stats = h.astype(jnp.float32).mean(axis=0), variables.stats
        h = h - (mean if train else stats["mean"]).astype(kind)
        logits = (h @ params["head"]).astype(jnp.float32)
        return logits, {"mean": 0.9 * stats["mean"] + 0.1 * lax.stop_gradient(mean)} if train else stats

    def node(params: Any, name: str, rows: jax.Array, states: jax.Array) -> jax.Array:
        """Sum the mixed operations of all edges, from states `(edges, B, C)`."""
        part, rest = states[..., :width], states[..., width:]
        linear = part @ params[f"{name}/linear"]
        tanh = jnp.tanh(part) @ params[f"{name}/tanh"]
        mixed = jnp.einsum("ek,kebc->ebc", rows, jnp.stack([0 * part, part, linear, tanh]))
        joined = jnp.concatenate([mixed, rest], axis=-1)
        return joined.reshape(*states.shape[:2], partial_channels, -1).swapaxes(2, 3).reshape(states.shape).sum(axis=0)

    def rebuild(**changes: Any) -> SearchSpace:
        return toy(**{"partial_channels": partial_channels, "dtype": dtype, "cells": cells, **changes})

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a search must not build a derived network")

    return SearchSpace("toy", SPEC, init, apply, refuse, refuse, refuse, rebuild)


def dense(rows: jax.Array | Paths) -> jax.Array:
    """Return the weights of all operations, where those that are not computed count as absent."""
    if not isinstance(rows, Paths):
        return rows
    computed = jax.nn.one_hot(rows.active, rows.weights.shape[-1]).sum(axis=-2) > 0
    return jnp.where(computed, rows.weights, 0.0)


SPACE = toy()


@cache
def batches() -> Batches:
    """Return minibatches for all steps, whose labels can be read off the inputs."""
    rng = np.random.default_rng(0)

    def batch() -> Batch:
        y = rng.integers(0, CLASSES, (STEPS, SIZE))
        x = rng.normal(size=(STEPS, SIZE, 2, 2, 1)) + 2.0 * np.eye(4)[y].reshape(STEPS, SIZE, 2, 2, 1)
        return Batch(jnp.asarray(x, jnp.float32), jnp.asarray(y))

    return Batches(batch(), batch())


WEIGHTS_ONLY = {"spos", "zero_cost"}
"""Methods whose steps train no architecture parameters."""
UNTRAINED = {"zero_cost"}
"""Methods whose steps train no weights."""
STAGES = {"drnas_progressive": 2, "p_darts": 3}
"""Methods of several stages; their first one is looked at here."""


def build(factory: Callable[..., Search], space: SearchSpace = SPACE) -> Search:
    """Return the method over two epochs of two steps, the first of which is the warm-up if it has one."""
    known = inspect.signature(factory).parameters
    short = {"warm_up": 0.5, "alpha_every": 2, "first_cells": 1}
    settings = {name: value for name, value in short.items() if name in known}
    return factory(space, epochs=2 * STAGES.get(factory.__name__, 1), steps_per_epoch=2, **settings)


class Run(typing.NamedTuple):
    """A method's programs, compiled once: `steps(state, first, last) -> (state, info of the last step)`."""

    search: Search
    states: list[SearchState]
    steps: Callable[..., tuple[SearchState, SearchInfo]]
    together: Callable[..., tuple[SearchState, SearchInfo]]
    warm_up: int
    alpha_rests: bool
    untrained: bool


@pytest.fixture(scope="module")
def run(factory: Callable[..., Search]) -> Run:
    search = build(factory)

    def steps(state: SearchState, first: Any, last: Any) -> tuple[SearchState, SearchInfo]:
        def step(index: jax.Array, carry: tuple[SearchState, SearchInfo]) -> tuple[SearchState, SearchInfo]:
            return search.step(carry[0], jax.tree.map(lambda leaf: leaf[index], batches()))

        return lax.fori_loop(first, last, step, (state, SearchInfo(*[jnp.full((), jnp.nan)] * 4)))

    # Not compiled as a whole: its draws have the same shapes in most methods.
    states = [search.init(key, batches().train.x[0]) for key in jax.random.split(jax.random.key(0))]
    together = jax.jit(jax.vmap(steps, (0, None, None)))
    warm_up = 2 if "warm_up" in inspect.signature(factory).parameters else 0
    rests = [factory.__name__ in some for some in (WEIGHTS_ONLY, UNTRAINED)]
    return Run(search, states, jax.jit(steps), together, warm_up, *rests)


def plain(tree: Any) -> Any:
    """Return a tree as NumPy arrays, as a checkpoint has them: its random keys as numbers."""
    return jax.tree.map(
        lambda leaf: np.array(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf),
        tree,
    )


def test_every_hyper_parameter_has_a_default_and_a_line_of_help(factory: Callable[..., Search]) -> None:
    space, *rest = inspect.signature(factory).parameters.values()
    hints = typing.get_type_hints(factory)
    assert space.name == "space"
    assert {"epochs", "steps_per_epoch"} <= {parameter.name for parameter in rest}
    for parameter in rest:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is not inspect.Parameter.empty or parameter.name == "steps_per_epoch"
        assert f"{parameter.name}: " in (inspect.getdoc(factory) or ""), parameter.name
        assert hints[parameter.name] in (int, float, bool, str, tuple[str, ...])
        if parameter.default is not inspect.Parameter.empty:
            assert type(parameter.default) is (typing.get_origin(hints[parameter.name]) or hints[parameter.name])


def test_the_package_offers_it_and_it_names_its_paper(module: ModuleType, factory: Callable[..., Search]) -> None:
    name = factory.__name__
    assert name in dnas.__all__
    assert getattr(dnas, name) is factory
    assert re.search(r"arXiv:\d+\.\d+|OpenReview:\w+", module.__doc__ or "")


def test_one_trace_of_a_step_under_scan_keeps_every_type(factory: Callable[..., Search]) -> None:
    # A space that computes with bfloat16: types that a method does not keep would show.
    search = build(factory, SPACE.rebuild(dtype="bfloat16"))
    state = jax.eval_shape(search.init, jax.random.key(0), batches().train.x[0])
    traces = []

    def step(state: SearchState, batch: Batches) -> tuple[SearchState, SearchInfo]:
        traces.append(state)
        return search.step(state, batch)

    after, infos = jax.eval_shape(partial(lax.scan, step), state, batches())
    assert len(traces) == 1
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert isinstance(infos, SearchInfo)
    assert {(values.shape, values.dtype) for values in infos} == {((STEPS,), jnp.dtype("float32"))}
    assert {leaf.dtype for leaf in jax.tree.leaves((after.params, after.alpha))} == {jnp.dtype("float32")}
    logits = jax.eval_shape(search.predict, after, batches().valid.x[0])
    assert logits.shape == (SIZE, CLASSES)


def test_both_levels_move_once_the_warm_up_is_over(run: Run) -> None:
    first = run.states[0]
    resting, _ = run.steps(first, 0, 2)
    after, info = run.steps(resting, 2, STEPS)
    chex.assert_tree_all_finite((plain(after), info))
    assert int(after.step) == STEPS
    for name in first.params:
        assert np.array_equal(first.params[name], resting.params[name]) == run.untrained, name
    same = [np.array_equal(first.alpha[name], resting.alpha[name]) for name in first.alpha]
    assert all(same) if run.warm_up or run.alpha_rests else not any(same)
    moved = [not np.array_equal(resting.alpha[name], after.alpha[name]) for name in first.alpha]
    assert not any(moved) if run.alpha_rests else all(moved)


def test_an_architecture_of_the_space_is_selected(run: Run) -> None:
    state, _ = run.steps(run.states[0], 0, STEPS)
    weights = run.search.weights(state)
    assert {name: rows.shape for name, rows in weights.items()} == {n: (g.edges, len(OPS)) for n, g in SPEC.items()}
    genotype = run.search.select(state)
    assert genotype == run.search.select(state)
    one_hot(SPEC, genotype)
    for name, group in SPEC.items():
        for incoming, kept in zip(group.nodes, genotype[name].nodes, strict=True):
            assert 1 <= len(kept) <= (group.keep or len(incoming))
            assert group.keep is None or all(own.op != "none" for own in kept)


def test_an_interruption_changes_no_bit(run: Run) -> None:
    whole = run.steps(run.states[0], 0, STEPS)
    half, _ = run.steps(run.states[0], 0, 2)
    stored = plain(half)
    restored = jax.tree.map(jnp.asarray, stored)._replace(key=jax.random.wrap_key_data(jnp.asarray(stored.key)))
    jax.tree.map(np.testing.assert_array_equal, plain(whole), plain(run.steps(restored, 2, STEPS)))


def test_two_seeds_run_together_as_they_do_apart(run: Run) -> None:
    together = plain(run.together(jax.tree.map(lambda *leaves: jnp.stack(leaves), *run.states), 0, STEPS))
    for seed in range(2):
        apart = plain(run.steps(run.states[seed], 0, STEPS))
        own = jax.tree.map(lambda leaf, seed=seed: leaf[seed], together)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-3, atol=2e-5), own, apart)
    assert not np.array_equal(*together[0].params["head"])
