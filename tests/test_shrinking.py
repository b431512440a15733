"""Spaces that offer fewer operations: which are kept, and that the others are neither chosen nor computed."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.macs import count_macs
from dnas.selection import one_hot, top_edges
from dnas.shrinking import shrunk, strongest
from dnas.stages import Stage, stages
from dnas.types import Variables
from search_spaces import darts, nasbench201, rdarts

SHAPE = (2, 8, 8, 3)
OPS = ("none", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
SPACES = {
    "darts": partial(darts.space, classes=2, channels=2, cells=3, nodes=1, ops=OPS),
    "nasbench201": partial(nasbench201.space, classes=2, channels=2, cells=1),
}
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def weights_of(space: Any, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.random((group.edges, len(group.ops))).astype(np.float32) for name, group in space.spec.items()}


def test_the_heaviest_of_what_is_offered_are_kept() -> None:
    space = darts.space(classes=2, nodes=1)
    weights = weights_of(space)
    five = strongest(space.spec, weights, 5)
    for name, rows in weights.items():
        np.testing.assert_array_equal(five[name], rows >= np.sort(rows, axis=1)[:, 3:4])
    # What is no longer offered does not come back, whatever it weighs.
    smaller = shrunk(space, five)
    weights = {name: np.where(five[name], rows, 9) for name, rows in weights.items()}
    three = strongest(smaller.spec, weights, 3)
    assert all((five[name] | ~mask).all() and (mask.sum(axis=1) == 3).all() for name, mask in three.items())
    # Equal ones in their order, and never more than there are.
    even = {name: np.ones_like(rows) for name, rows in weights.items()}
    assert np.flatnonzero(strongest(space.spec, even, 2)["normal"][0]).tolist() == [0, 1]
    assert shrunk(space, strongest(space.spec, even, 99)) is space
    pairs = rdarts.space(classes=2, subset="S1")
    assert {int(kept) for kept in strongest(pairs.spec, weights_of(pairs), 5)["normal"].sum(axis=1)} == {2}


@pytest.mark.parametrize("name", SPACES)
def test_a_shrunk_space_offers_no_more_however_it_is_rebuilt(name: str) -> None:
    space = SPACES[name]()
    masks = strongest(space.spec, weights_of(space), 2)
    small = shrunk(space, masks).rebuild(cells=4, channels=4)
    tempting = {name: np.where(masks[name], 0.1, 0.9).astype(np.float32) for name in masks}
    one_hot(small.spec, top_edges(small, tempting))
    x = jax.ShapeDtypeStruct(SHAPE, jnp.float32)
    grown, same = (
        jax.eval_shape(made.init, jax.random.key(0), x) for made in (small, space.rebuild(cells=4, channels=4))
    )
    assert grown == same


@pytest.mark.parametrize(("name", "unused"), [("darts", "sep_conv_3x3"), ("nasbench201", "nor_conv_3x3")])
def test_what_is_dropped_is_not_computed(name: str, unused: str) -> None:
    space = SPACES[name]()
    weights = weights_of(space)
    for own, group in space.spec.items():
        weights[own][:, group.ops.index(unused)] = -1
    small = shrunk(space, strongest(space.spec, weights, 3))
    x = jax.random.normal(jax.random.key(1), SHAPE)
    variables = jit(space.init)(jax.random.key(0), x)

    @jit
    @partial(jax.value_and_grad, argnums=(0, 1))
    def loss(params: Any, weights: Any) -> jax.Array:
        return (small.apply(Variables(params, variables.stats), weights, x, train=True)[0] ** 2).sum()

    def spoilt(path: Any, leaf: jax.Array) -> jax.Array:
        return jnp.full_like(leaf, jnp.nan) if any(str(part.key).endswith(unused) for part in path) else leaf

    # Not a number, even times 0, is none: neither the value nor a derivative meets what no edge offers.
    params = jax.tree_util.tree_map_with_path(spoilt, variables.params)
    assert any(np.isnan(leaf).all() for leaf in jax.tree.leaves(params))
    found = loss(params, weights_of(space, 1))
    assert found[0] > 0
    jax.tree.map(np.testing.assert_array_equal, found, loss(variables.params, weights_of(space, 1)))
    for own, group in space.spec.items():
        assert np.isfinite(found[1][1][own]).all()
        np.testing.assert_array_equal(found[1][1][own][:, group.ops.index(unused)], 0)


def test_fewer_operations_are_fewer_multiply_adds() -> None:
    space = darts.space(classes=2, channels=16, cells=3, nodes=1)
    x = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
    variables, weights = jax.eval_shape(space.init, jax.random.key(0), x), weights_of(space)

    def macs(made: Any) -> int:
        return count_macs(lambda v, x: made.apply(v, weights, x, train=True)[0], variables, x)

    counts = [macs(shrunk(space, strongest(space.spec, weights, keep))) for keep in (1, 2, 3, 5)]
    assert counts == sorted(counts)
    # A count takes the costliest operation for each that is offered, so that it is a bound.
    assert counts[1] < macs(space)


def test_stages_divide_the_epochs_and_alpha_moves_in_each() -> None:
    assert stages(75, 3, 0.4) == (Stage(0, 10, 25), Stage(25, 35, 50), Stage(50, 60, 75))
    assert stages(100, 2, 0.2) == (Stage(0, 10, 50), Stage(50, 60, 100))
    for epochs in range(3, 12):
        made = stages(epochs, 3, 0.9)
        assert made[0].first == 0
        assert made[-1].last == epochs
        assert all(one.first <= one.resting < one.last for one in made)
        assert max(one.epochs for one in made) - min(one.epochs for one in made) <= 1


@pytest.mark.parametrize(("epochs", "warm_up", "words"), [(2, 0.4, ("epochs", 3, 2)), (9, 1.0, ("share", 1.0))])
def test_epochs_that_cannot_be_divided_are_refused(epochs: int, warm_up: float, words: Any, sentence: Any) -> None:
    with sentence(*words):
        stages(epochs, 3, warm_up)
