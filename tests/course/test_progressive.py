"""Methods whose stages grow the supernet and take operations from it, run to the end on a toy space."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.interrupt import Stop
from dnas.run.loop import run_phase
from dnas.run.searching import Searching
from dnas.types import Group, Paths, Search, SearchSpace, SearchState, Variables

OPS = ("none", "skip_connect", "linear", "tanh", "sine")
SPEC = {
    "normal": Group(5, OPS, nodes=(((0, 0), (1, 1)), ((2, 0), (3, 1), (4, 2))), keep=2, concat=(2, 3)),
    "whole": Group(2, OPS, nodes=(((0, 0), (1, 1)),), keep=None, concat=(2,)),
}
CHANNELS, STEPS = 8, 4


def toy(cells: int = 1, partial_channels: int = 1) -> SearchSpace:
    """Return a space of a few matrix products, one for each edge and operation that is not free of parameters."""
    width = CHANNELS // partial_channels

    def init(key: jax.Array, x: jax.Array) -> Variables:
        own = iter(jax.random.split(key, 2 + 6 * cells))

        def kernel(edges: int) -> dict[str, jax.Array]:
            return {"kernel": jax.random.normal(next(own), (edges, width, width)) * width**-0.5}

        stem = jax.random.normal(next(own), (x[0].size, CHANNELS))
        layers = [
            {name: {op: kernel(group.edges) for op in OPS[2:]} for name, group in SPEC.items()} for _ in range(cells)
        ]
        stats = {name: {"tanh": {"mean": jnp.zeros((group.edges, width))}} for name, group in SPEC.items()}
        return Variables({"stem": stem, "cells": layers, "head": jax.random.normal(next(own), (CHANNELS, 2))}, stats)

    def apply(variables: Variables, mixture: Any, x: jax.Array, *, train: bool) -> tuple[jax.Array, Any]:
        del train
        h, stats = x.reshape(len(x), -1) @ variables.params["stem"], variables.stats
        for layer in variables.params["cells"]:
            for name in SPEC:
                part, rows, own = jnp.tanh(h[:, :width]), dense(mixture[name]), layer[name]
                made = {op: jnp.einsum("bc,ecd->ebd", part, own[op]["kernel"]) for op in OPS[2:]}
                values = [0 * made["linear"], 0 * made["linear"] + part, made["linear"]]
                values += [f(made[op]) for f, op in zip((jnp.tanh, jnp.sin), OPS[3:], strict=True)]
                stats = {**stats, name: {"tanh": {"mean": values[3].mean(axis=1)}}}
                h = h.at[:, :width].add(jnp.einsum("ek,kebc->bc", rows, jnp.stack(values)))
                h = jnp.roll(h, width, axis=1)
        return h @ variables.params["head"], jax.lax.stop_gradient(stats)

    def rebuild(**changes: Any) -> SearchSpace:
        return toy(**{"cells": cells, "partial_channels": partial_channels, **changes})

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a search must not build a network")

    return SearchSpace("toy", SPEC, init, apply, refuse, refuse, refuse, rebuild)


def dense(rows: Any) -> jax.Array:
    if not isinstance(rows, Paths):
        return jnp.asarray(rows)
    return jnp.where(jax.nn.one_hot(rows.active, len(OPS)).sum(axis=1) > 0, rows.weights, 0.0)


def p_darts(steps: int) -> Search:
    return dnas.p_darts(
        toy(),
        epochs=6,
        steps_per_epoch=steps,
        first_cells=1,
        added_cells=1,
        second_ops=4,
        third_ops=3,
        warm_up=0.5,
        skip_limit=1,
        alpha_lr=0.1,
    )


def drnas_progressive(steps: int) -> Search:
    return dnas.drnas_progressive(toy(), epochs=4, steps_per_epoch=steps, warm_up=0.5, alpha_lr=0.1)


class Told(NamedTuple):
    """A run of several stages, and each stage with the state that it began with and the one that it ended in."""

    run: RunDirectory
    stages: list[tuple[Searching, SearchState, SearchState]]

    @property
    def last(self) -> SearchState:
        return self.stages[-1][2]

    def allowed(self) -> list[dict[str, np.ndarray]]:
        """The masks of each stage, by group."""
        return [
            {name: np.array(group.allowed or np.ones((group.edges, len(OPS)), bool)) for name, group in spec.items()}
            for spec in (stage.search.space.spec for stage, _, _ in self.stages)
        ]


@pytest.fixture(scope="module")
def whole(begin: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[int], Search]], Told]:
    """Return `(method) -> Told`, each method run once."""
    known: dict[str, Told] = {}

    def of(make: Callable[[int], Search]) -> Told:
        name = make.__name__
        if name not in known:
            run = RunDirectory.create(tmp_path_factory.mktemp(name) / "run", False)
            stages, stage = [], begin(make)
            while stage is not None:
                begun = jax.device_get(stage.phase.init())
                finished = run_phase(stage.phase, run, Screen(), Stop())
                stages.append((stage, begun, jax.device_get(finished.state)))
                stage = stage.following(finished)
            known[name] = Told(run, stages)
        return known[name]

    return of


@pytest.mark.parametrize(("make", "counts"), [(p_darts, (5, 4, 3)), (drnas_progressive, (5, 3))])
def test_every_edge_keeps_so_many_operations_and_none_comes_back(whole: Any, make: Any, counts: Any) -> None:
    told = whole(make)
    for masks, count in zip(told.allowed(), counts, strict=True):
        assert {int(kept) for mask in masks.values() for kept in mask.sum(axis=1)} == {count}
    for before, after in pairwise(told.allowed()):
        assert all((before[name] | ~after[name]).all() for name in SPEC)


@pytest.mark.parametrize("make", [p_darts, drnas_progressive])
def test_the_heaviest_operations_are_kept(whole: Any, make: Any) -> None:
    told = whole(make)
    for (stage, _, state), before, after in zip(told.stages, told.allowed(), told.allowed()[1:], strict=False):
        for name, rows in jax.device_get(stage.search.weights(state)).items():
            lightest = np.where(after[name], rows, np.inf).min(axis=1)
            assert (np.where(before[name] & ~after[name], rows, -np.inf).max(axis=1) <= lightest).all()


@pytest.mark.parametrize("make", [p_darts, drnas_progressive])
def test_what_was_dropped_weighs_nothing_and_gets_no_gradient(whole: Any, make: Any) -> None:
    told = whole(make)
    (stage, _, state), masks = told.stages[-1], told.allowed()[-1]
    rng = np.random.default_rng(0)
    slopes = {name: rng.normal(size=mask.shape).astype(np.float32) for name, mask in masks.items()}

    def value(alpha: Any) -> Any:
        weights = stage.search.weights(state._replace(alpha=alpha))
        return sum((weights[name] * slopes[name]).sum() for name in SPEC), weights

    gradients, weights = jax.grad(value, has_aux=True)(state.alpha)
    for name, mask in masks.items():
        np.testing.assert_array_equal(np.asarray(weights[name])[~mask], 0)
        np.testing.assert_allclose(weights[name].sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(np.asarray(gradients[name]) != 0, mask)


@pytest.mark.parametrize("make", [p_darts, drnas_progressive])
def test_the_architecture_has_few_skips_and_nothing_that_was_dropped(whole: Any, make: Any) -> None:
    told = whole(make)
    (stage, _, state), masks = told.stages[-1], told.allowed()[-1]
    # However much it speaks for what was dropped, and for skip connections.
    alpha = {name: np.where(masks[name], rows, 9) + 5 * np.eye(5)[1] for name, rows in state.alpha.items()}
    for chosen in (state, state._replace(alpha=jax.tree.map(np.float32, alpha))):
        genotype = stage.search.select(chosen)
        for name, group in SPEC.items():
            for incoming, kept in zip(group.nodes, genotype[name].nodes, strict=True):
                rows = {source: edge for edge, source in incoming}
                assert all(masks[name][rows[edge.source], OPS.index(edge.op)] for edge in kept)
        if make is p_darts:
            assert sum(edge.op == "skip_connect" for node in genotype["normal"].nodes for edge in node) <= 1


@pytest.mark.parametrize(("make", "epochs"), [(p_darts, 6), (drnas_progressive, 4)])
def test_epochs_count_on_and_alpha_rests_at_the_start_of_each_stage(
    whole: Any, lines: Any, make: Any, epochs: int
) -> None:
    told = whole(make)
    written = lines(told.run)
    assert [(line["epoch"], line["step"]) for line in written] == [(n, n * STEPS) for n in range(1, epochs + 1)]
    assert [int(begun.step) for _, begun, _ in told.stages] == list(range(0, epochs * STEPS, 2 * STEPS))
    for (_, begun, _), resting, moving in zip(told.stages, written[::2], written[1::2], strict=True):
        for name, rows in begun.alpha.items():
            np.testing.assert_allclose(resting["alpha"][name], rows, atol=1e-6)
            assert np.abs(np.array(moving["alpha"][name]) - rows).max() > 1e-3


def test_p_darts_starts_each_stage_anew_and_deeper(whole: Any) -> None:
    stages = whole(p_darts).stages
    assert [len(begun.params["cells"]) for _, begun, _ in stages] == [1, 2, 3]
    for (_, _, before), (_, begun, after) in pairwise(stages):
        assert not np.isin(begun.params["stem"], before.params["stem"]).any()
        assert max(np.abs(rows).max() for rows in begun.alpha.values()) < 0.01
        assert not any(leaf.any() for leaf in jax.tree.leaves(begun.weight_opt))
        # The schedule of the learning rate has gone through one stage, not through all.
        counts = [leaf for leaf in jax.tree.leaves(after.weight_opt) if leaf.dtype == np.int32]
        assert [int(count) for count in counts] == [2 * STEPS]


def test_drnas_goes_on_from_widened_weights(whole: Any) -> None:
    told = whole(drnas_progressive)
    (_, _, before), (_, begun, after) = told.stages
    mask = told.allowed()[-1]
    assert before.params["cells"][0]["normal"]["tanh"]["kernel"].shape == (5, 2, 2)
    assert begun.params["cells"][0]["normal"]["tanh"]["kernel"].shape == (5, 4, 4)
    for old, new in zip(jax.tree.leaves(before[:2]), jax.tree.leaves(begun[:2]), strict=True):
        np.testing.assert_array_equal(new[tuple(map(slice, old.shape))], old)
    kept = [leaf for leaf in jax.tree.leaves(before.weight_opt) if leaf.ndim == 0]
    assert kept == [leaf for leaf in jax.tree.leaves(begun.weight_opt) if leaf.ndim == 0]
    jax.tree.map(np.testing.assert_array_equal, before.alpha_opt, begun.alpha_opt)
    for name, rows in before.alpha.items():
        np.testing.assert_array_equal(begun.alpha[name], np.where(mask[name], rows, 0))
    assert int(after.step) == 4 * STEPS


@pytest.mark.parametrize("make", [p_darts, drnas_progressive])
def test_stopped_again_and_again_it_ends_in_the_same_bits(
    whole: Any, again_and_again: Any, lines: Any, bits: Any, make: Any
) -> None:
    run, finished = again_and_again(make, 5)
    assert bits(finished.state) == bits(whole(make).last)
    assert lines(run) == lines(whole(make).run)


def test_settings_that_cannot_work_are_refused_before_anything_runs(sentence: Any) -> None:
    with sentence("epochs", 3, 2):
        dnas.p_darts(toy(), epochs=2, steps_per_epoch=1)
    with sentence("third_ops", 5, 2):
        dnas.p_darts(toy(), steps_per_epoch=1, third_ops=2)
    with sentence("added_dropout", 0.5, 0.9, 1.3):
        dnas.p_darts(toy(), steps_per_epoch=1, first_dropout=0.5, added_dropout=0.4)
    with sentence("second_partial_channels", 4, 8):
        dnas.drnas_progressive(toy(), steps_per_epoch=1, second_partial_channels=8)
    with sentence("second_ops", 1):
        dnas.drnas_progressive(toy(), steps_per_epoch=1, second_ops=1)
