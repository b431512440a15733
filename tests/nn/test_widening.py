"""Widened operations: what was there stays, and what is new copies it, alike in everything that one operation has."""

from typing import Any

import jax
import numpy as np
import optax
import pytest

from dnas.nn.widening import widened
from search_spaces import darts, nasbench201

OPS = ("skip_connect", "sep_conv_3x3", "nor_conv_3x3")
SHAPE = (2, 8, 8, 3)


def ramp(shape: tuple[int, ...], start: int) -> np.ndarray:
    """Different numbers everywhere, so that a copy tells where it is from."""
    return start + np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


def tree(size: int) -> dict[str, Any]:
    shapes = {
        "stem": {"kernel": (3, 3)},
        "cell_0/sep_conv_3x3": {
            "depthwise": (2, 3, 3, 1, size),
            "pointwise": (2, size, size),
            "norm": (2, size),
            "half": (2, size, size // 2),
        },
        "cell_0/skip_connect": {"pointwise": (size, size)},
    }
    numbers = iter(range(0, 100_000, 1000))
    return {name: {leaf: ramp(shape, next(numbers)) for leaf, shape in own.items()} for name, own in shapes.items()}


@pytest.fixture(scope="module")
def grown() -> dict[str, Any]:
    return jax.device_get(widened(jax.random.key(0), tree(8), tree(20), OPS))


def picks(new: np.ndarray, old: np.ndarray, axis: int) -> list[int]:
    """Return which old entry each new one along an axis is, in an array that does not grow along others."""
    old, new = np.moveaxis(old, axis, 0), np.moveaxis(new, axis, 0)
    return [next(n for n in range(len(old)) if np.array_equal(old[n], row)) for row in new[len(old) :]]


def test_old_entries_stay_and_new_ones_are_copies(grown: dict[str, Any]) -> None:
    for name, own in tree(8).items():
        for leaf, old in own.items():
            new = grown[name][leaf]
            assert new.shape == tree(20)[name][leaf].shape
            np.testing.assert_array_equal(new[tuple(map(slice, old.shape))], old)
            assert set(new.ravel()) <= set(old.ravel())


def test_all_arrays_of_an_operation_copy_the_same_channels(grown: dict[str, Any]) -> None:
    old, new = tree(8)["cell_0/sep_conv_3x3"], grown["cell_0/sep_conv_3x3"]
    chosen = picks(new["norm"], old["norm"], 1)
    assert len(chosen) == 12
    assert len(set(chosen)) > 3
    assert picks(new["depthwise"], old["depthwise"], 4) == chosen
    assert picks(new["pointwise"][:, :, :8], old["pointwise"], 1) == chosen
    assert picks(new["pointwise"][:, :8], old["pointwise"], 2) == chosen
    assert picks(new["half"][:, :, :4], old["half"], 1) == chosen
    # Another size is drawn on its own.
    assert max(picks(new["half"][:, :8], old["half"], 2)) < 4
    other = picks(grown["cell_0/skip_connect"]["pointwise"][:8], tree(8)["cell_0/skip_connect"]["pointwise"], 1)
    assert other != chosen
    again, anew = (widened(jax.random.key(seed), tree(8), tree(20), OPS) for seed in (0, 1))
    jax.tree.map(np.testing.assert_array_equal, again, grown)
    assert picks(np.asarray(anew["cell_0/sep_conv_3x3"]["norm"]), old["norm"], 1) != chosen


def test_an_optimiser_copies_what_its_weights_copy(grown: dict[str, Any]) -> None:
    optimizer = optax.chain(optax.trace(0.9), optax.scale_by_learning_rate(lambda count: 1.0))
    _, state = optimizer.update(tree(8), optimizer.init(tree(8)))
    trees = ({"ignored": ()}, tree(8), state)
    like = ({"ignored": ()}, tree(20), optimizer.init(tree(20)))
    _, params, after = widened(jax.random.key(0), trees, like, OPS)
    jax.tree.map(np.testing.assert_array_equal, params, grown)
    # The first trace is the gradient itself, here equal to the weights.
    jax.tree.map(np.testing.assert_array_equal, after[0].trace, grown)
    assert int(after[1].count) == 1


@pytest.mark.parametrize("module", [darts, nasbench201], ids=["darts", "nasbench201"])
def test_the_supernets_of_the_spaces_widen(module: Any) -> None:
    spaces = [module.space(classes=3, channels=12, cells=3, partial_channels=parts) for parts in (6, 4)]
    old, new = (
        jax.eval_shape(space.init, jax.random.key(0), jax.ShapeDtypeStruct(SHAPE, "float32")) for space in spaces
    )
    ops = spaces[0].spec[next(iter(spaces[0].spec))].ops
    after = jax.eval_shape(lambda key, tree: widened(key, tree, new, ops), jax.random.key(0), old)
    assert jax.tree.map(lambda leaf: leaf.shape, after) == jax.tree.map(lambda leaf: leaf.shape, new)
    assert jax.tree.leaves(old.params) != jax.tree.leaves(new.params)


def test_nothing_becomes_narrower(sentence: Any) -> None:
    with sentence("widening", "pointwise", (20, 20), (8, 8)):
        widened(jax.random.key(0), tree(20)["cell_0/skip_connect"], tree(8)["cell_0/skip_connect"], OPS)
