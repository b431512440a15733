"""The supernet with one-hot operation weights is the derived network with the supernet's variables."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.genotype import Cell, Edge, Genotype
from dnas.selection import one_hot, random_genotype
from dnas.types import Output, Variables
from search_spaces import darts

SHAPE = (6, 8, 12, 3)
SPACE = darts.space(classes=5, channels=4, cells=3, nodes=2)
WITHOUT_POOLS = tuple(op for op in darts.OPS if "pool" not in op)


def images() -> jax.Array:
    return jnp.asarray(np.random.default_rng(5).normal(size=SHAPE), jnp.float32)


@pytest.fixture(scope="module")
def variables(filled: Any) -> Variables:
    return filled(SPACE.init, SHAPE)


@pytest.fixture(scope="module")
def supernet() -> Any:
    """Compile the supernet once for each mode."""
    return jax.jit(lambda v, w, x, train: SPACE.apply(v, w, x, train=train), static_argnums=3)


def close(got: Any, expected: Any) -> None:
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    # Relative to the largest entry: single logits may be near zero.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * float(np.abs(b).max())), got, expected
    )


def genotypes() -> list[Genotype]:
    rng = np.random.default_rng(11)
    return [random_genotype(SPACE, rng) for _ in range(3)]


@pytest.mark.parametrize("genotype", genotypes(), ids=["first", "second", "third"])
def test_one_hot_supernet_is_the_derived_network(genotype: Genotype, variables: Variables, supernet: Any) -> None:
    x, weights = images(), one_hot(SPACE.spec, genotype)
    network = SPACE.build(genotype, searched=True)
    inherited = SPACE.inherit(genotype, variables)

    logits, after = supernet(variables, weights, x, True)
    output, stats = jax.jit(lambda v, x: network.apply(v, x, train=True))(inherited, x)
    close(output, Output(logits))
    close(stats, SPACE.inherit(genotype, Variables(variables.params, after)).stats)
    assert not np.allclose(output.logits, 0.0)

    logits, unchanged = supernet(variables, weights, x, False)
    output, stats = jax.jit(lambda v, x: network.apply(v, x, train=False))(inherited, x)
    close(output, Output(logits))
    assert jax.tree.all(jax.tree.map(np.array_equal, unchanged, variables.stats))
    assert jax.tree.all(jax.tree.map(np.array_equal, stats, inherited.stats))


def test_two_equal_edges_of_one_node_count_twice(variables: Variables, supernet: Any) -> None:
    twice = Cell(
        nodes=((Edge("dil_conv_3x3", 1),) * 2, (Edge("skip_connect", 0), Edge("avg_pool_3x3", 2))), concat=(2, 3)
    )
    genotype = Genotype("darts", (("normal", twice), ("reduce", twice)))
    network, inherited = SPACE.build(genotype, searched=True), SPACE.inherit(genotype, variables)
    x = images()
    expected = supernet(variables, one_hot(SPACE.spec, genotype), x, False)[0]
    close(jax.jit(lambda v, x: network.apply(v, x, train=False)[0].logits)(inherited, x), expected)


def test_without_pools_it_is_the_affine_network_too(variables: Variables, supernet: Any) -> None:
    rng = np.random.default_rng(2)
    rich = darts.space(classes=5, channels=4, cells=3, nodes=2, ops=WITHOUT_POOLS)
    genotype = random_genotype(rich, rng)
    network = SPACE.build(genotype, channels=4, cells=3, auxiliary=False)
    shapes = jax.eval_shape(network.init, jax.random.key(0), images())
    inherited = SPACE.inherit(genotype, variables)
    start = {"scale": np.ones, "bias": np.zeros}

    def copy(path: tuple[Any, ...], leaf: Any) -> Any:
        tree: Any = inherited.params
        for entry in path:
            tree = tree.get(entry.key) if isinstance(tree, dict) else None
        return start[path[-1].key](leaf.shape, np.float32) if tree is None else tree

    params = jax.tree_util.tree_map_with_path(copy, shapes.params)
    assert jax.tree.structure(shapes.stats) == jax.tree.structure(inherited.stats)
    x, weights = images(), one_hot(SPACE.spec, genotype)
    for train in (True, False):
        expected = supernet(variables, weights, x, train)[0]
        apply = jax.jit(lambda v, x, train=train: network.apply(v, x, train=train)[0].logits)
        close(apply(Variables(params, inherited.stats), x), expected)


def test_none_adds_nothing_and_weights_may_be_numpy(filled: Any) -> None:
    space = darts.space(classes=3, channels=4, cells=3, nodes=1, ops=("none", "skip_connect", "max_pool_3x3"))
    values = filled(space.init, SHAPE)
    weights = np.random.default_rng(3).random((2, 3)).astype(np.float32)

    def logits(normal: np.ndarray) -> jax.Array:
        fixed = {"normal": normal, "reduce": weights}
        return jax.jit(lambda v: space.apply(v, fixed, images(), train=False)[0])(values)

    moved = weights + np.array([1, 0, 0], np.float32)
    np.testing.assert_array_equal(logits(weights), logits(moved))
    assert not np.allclose(logits(weights), logits(weights + np.array([0, 1, 0], np.float32)))
