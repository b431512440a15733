"""OLES: DARTS until an operation freezes, and then all but that operation goes on."""

from typing import Any

import jax
import numpy as np
import pytest

import dnas
from dnas.stopping.freezing import operations, trained_ops
from dnas.stopping.operation_alignment import similarity
from search_spaces import darts, nasbench201

SETTINGS = {"epochs": 4, "steps_per_epoch": 6, "alpha_lr": 0.1, "weight_lr": 0.1}


@pytest.fixture(scope="module")
def free(small: Any) -> Any:
    return small.run(dnas.darts(small.space, **SETTINGS), 8)


def kernels(state: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(own["kernel"]) for name, own in state.params["cell"].items()}


def test_what_never_freezes_is_darts_to_the_bit(small: Any, free: Any) -> None:
    watched, plain = dnas.oles(small.space, **SETTINGS, window=2, least=-1.1), dnas.darts(small.space, **SETTINGS)
    states = [search.init(jax.random.key(0), small.example) for search in (watched, plain)]
    # Operation by operation: compiled as a whole, two programs may round in their own ways.
    for step in range(2):
        batch = jax.tree.map(lambda leaf, step=step: leaf[step], small.batches)
        states = [search.step(state, batch)[0] for search, state in zip((watched, plain), states, strict=True)]
    one, other = ((state.params, state.alpha, state.alpha_opt) for state in states)
    jax.tree.map(np.testing.assert_array_equal, one, other)
    compiled = small.run(watched, 8)
    for name, own in kernels(compiled).items():
        np.testing.assert_allclose(own, kernels(free)[name], atol=1e-5)


def test_what_always_freezes_stands_still_after_a_window(small: Any, free: Any) -> None:
    states = small.run(dnas.oles(small.space, **SETTINGS, window=3, least=2.0), 8)
    # The first step has no training gradient to compare with; the fourth completes the window and moves no operation.
    for name, own in kernels(states).items():
        np.testing.assert_allclose(own[:3], kernels(free)[name][:3], atol=1e-5)
        assert (np.diff(own, axis=0)[:2] != 0).any(axis=(2, 3)).all()
        np.testing.assert_array_equal(np.diff(own, axis=0)[2:], 0)
    for name in ("stem", "head"):
        assert (np.diff(states.params[name], axis=0) != 0).any(axis=(1, 2)).all()
    assert (np.diff(states.alpha["cell"], axis=0) != 0).any(axis=(1, 2)).all()


def test_an_edge_freezes_alone(small: Any) -> None:
    window = 5
    states = small.run(dnas.oles(small.space, **SETTINGS, window=window, least=-1.1), 2 * window + 1)
    last = jax.tree.map(lambda leaf: leaf[window - 1], states.hypergradient)
    means = {path: np.asarray(own.total / own.seen) for path, own in last.items()}
    assert {int(own.seen) for own in last.values()} == {window - 1}
    between = float(np.median(np.concatenate(list(means.values()))))
    some = small.run(dnas.oles(small.space, **SETTINGS, window=window - 1, least=between), window + 3)
    for path, own in some.hypergradient.items():
        np.testing.assert_array_equal(own.frozen[window - 1], means[path] < between)
        moved = np.diff(kernels(some)[path.rpartition("/")[2]], axis=0)[window - 1 :]
        assert ((moved != 0).any(axis=(0, 2, 3)) | own.frozen[-1]).all()
        np.testing.assert_array_equal(moved[:, own.frozen[window - 1]], 0)


def test_it_compares_with_the_training_gradient_of_the_step_before(small: Any) -> None:
    search = dnas.oles(small.space, **SETTINGS)
    states = small.run(search, 2)
    before = jax.tree.map(lambda leaf: leaf[0], states)
    ops = trained_ops(small.space.spec)
    assert not any(own.total.any() for own in before.hypergradient.values())
    remembered = operations(before.weight_opt.grads, ops)
    # The weights of the second step's validation gradient are those that the first step left.
    assert all(leaf.any() for leaves in remembered.values() for leaf in leaves)
    for path, own in states.hypergradient.items():
        assert (np.abs(own.total[1]) <= 1 + 1e-6).all()
        assert float(similarity(remembered[path], remembered[path], lead=1)[0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("module", "trained", "stacks"), [(darts, 4, (5, 4, 1)), (nasbench201, 2, (2,))])
def test_operations_are_found_by_their_names(module: Any, trained: int, stacks: tuple[int, ...]) -> None:
    settings = {"cells": 3, "nodes": 2} if module is darts else {"cells": 2}
    space = module.space(classes=3, channels=4, **settings)
    shapes = jax.eval_shape(space.init, jax.random.key(0), np.zeros((2, 8, 8, 3), np.float32)).params
    ops = trained_ops(space.spec)
    found = operations(shapes, ops)
    assert len(ops) == trained
    # DARTS: a loop a stride; one in the normal cell, two in each of two reductions.
    # NAS-Bench-201: three stages of six edges.
    assert len(found) == trained * (5 if module is darts else 18)
    assert {leaf.shape[0] for leaves in found.values() for leaf in leaves} == set(stacks)
    weights = sum(leaf.size for leaves in found.values() for leaf in leaves)
    rest = sum(leaf.size for leaf in jax.tree.leaves(shapes)) - weights
    assert 0 < rest < weights
    assert all(path.endswith(tuple(ops)) for path in found)
