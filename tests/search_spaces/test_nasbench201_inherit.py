"""The supernet with one-hot operation weights is the derived network with the supernet's variables."""

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.losses import cross_entropy
from dnas.selection import one_hot, random_genotype, top_edges
from dnas.types import Output, Paths, Variables
from search_spaces import nasbench201 as nb
from search_spaces.nasbench201.cells import EDGES
from search_spaces.nasbench201.supernet import SearchCell

SHAPE = (6, 8, 12, 3)
SPACE = nb.space(classes=5, channels=3, cells=2)
MODES = (True, False)


def images(shape: tuple[int, ...] = SHAPE) -> jax.Array:
    return jnp.asarray(np.random.default_rng(5).normal(size=shape), jnp.float32)


@pytest.fixture(scope="module")
def variables(filled: Any) -> Variables:
    return filled(SPACE.init, SHAPE)


@pytest.fixture(scope="module")
def supernet() -> Any:
    """Compile the supernet once, for training and evaluation."""
    return jax.jit(lambda v, w, x: [SPACE.apply(v, w, x, train=train) for train in MODES])


def close(got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    # Relative to the largest entry: single logits may be near zero.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * float(np.abs(b).max())),
        got,
        expected,
    )


def drawn(seed: int) -> str:
    return nb.to_string(random_genotype(SPACE, np.random.default_rng(seed)))


@pytest.mark.parametrize(
    "text",
    [
        drawn(1),
        drawn(2),
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_1x1~0|nor_conv_1x1~1|nor_conv_1x1~2|",
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
        "|avg_pool_3x3~0|+|avg_pool_3x3~0|avg_pool_3x3~1|+|avg_pool_3x3~0|avg_pool_3x3~1|avg_pool_3x3~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        # Nothing reaches node 1, but a convolution of nothing is normalised.
        "|none~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_1x1~1|skip_connect~2|",
    ],
)
def test_one_hot_supernet_is_the_derived_network(text: str, variables: Variables, supernet: Any) -> None:
    genotype, x = nb.from_string(text), images()
    weights = one_hot(SPACE.spec, genotype)
    network, inherited = SPACE.build(genotype, searched=True), SPACE.inherit(genotype, variables)
    derived = jax.jit(lambda v, x: [network.apply(v, x, train=train) for train in MODES])

    (trained, after), (evaluated, unchanged) = supernet(variables, weights, x)
    (output, stats), (evaluation, same) = derived(inherited, x)
    close(output, Output(trained))
    close(stats, SPACE.inherit(genotype, Variables(variables.params, after)).stats)
    close(evaluation, Output(evaluated))
    for new, old in ((unchanged, variables.stats), (same, inherited.stats)):
        assert jax.tree.all(jax.tree.map(np.array_equal, new, old))
    assert not jax.tree.all(jax.tree.map(np.array_equal, stats, inherited.stats))
    assert np.ptp(evaluation.logits) > 0.1


def test_inherited_variables_are_those_of_the_same_cell_edge_and_operation(variables: Variables) -> None:
    genotype = nb.from_string("|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|")
    names = {"edge_1_0_nor_conv_3x3", "edge_2_0_nor_conv_1x1", "edge_3_2_nor_conv_3x3"}
    inherited = SPACE.inherit(genotype, variables)
    for tree, whole in zip(inherited, variables, strict=True):
        for stage in range(3):
            for cell in range(2):
                own = tree[f"stage_{stage}_{cell}"]
                assert set(own) == names
                for name in names:
                    expected = jax.tree.map(lambda leaf, cell=cell: leaf[cell], whole[f"stage_{stage}"][name])
                    assert jax.tree.all(jax.tree.map(np.array_equal, own[name], expected))
        rest = [name for name in whole if not name.startswith("stage_")]
        assert {name for name in tree if not name.startswith("stage_")} == set(rest)
        assert jax.tree.all(jax.tree.map(np.array_equal, {n: tree[n] for n in rest}, {n: whole[n] for n in rest}))


def test_selection_undoes_one_hot_for_every_kind_of_architecture() -> None:
    for number in range(0, 15_625, 97):
        genotype = nb.from_index(number)
        weights = one_hot(SPACE.spec, genotype)
        np.testing.assert_array_equal(weights["cell"].sum(axis=1), np.ones(len(EDGES)))
        assert top_edges(SPACE, weights) == genotype


class OneCell:
    """One search cell with fixed variables and input, as a function of operation weights and mode."""

    def __init__(self, filled: Any) -> None:
        self.x = images((4, 4, 6, 3))
        self.modules = {train: SearchCell(nb.OPS, 3, train) for train in MODES}
        self.variables = filled(lambda key, x: self.modules[True].init(key, x, 0, jnp.zeros((6, 5))), self.x.shape)
        self.compiled = jax.jit(self.traced, static_argnums=1)

    def traced(self, weights: jax.Array, train: bool) -> jax.Array:
        (output, _), _ = self.modules[train].apply(self.variables, self.x, 0, weights, mutable=["batch_stats"])
        return output

    def __call__(self, weights: np.ndarray, train: bool) -> np.ndarray:
        return np.asarray(self.compiled(jnp.asarray(weights, jnp.float32), train))


@pytest.fixture(scope="module")
def cell(filled: Any) -> OneCell:
    return OneCell(filled)


@pytest.mark.parametrize("train", MODES)
def test_output_is_linear_in_the_weights_of_the_edges_that_enter_it(cell: OneCell, train: bool) -> None:
    # What the earlier edges do is fixed by random weights.
    weights = np.random.default_rng(0).dirichlet(np.ones(5), 6)
    total = np.zeros_like(cell(weights, train))
    for row in (3, 4, 5):
        for column in range(5):
            only = weights.copy()
            only[3:] = 0.0
            only[row, column] = 1.0
            total += weights[row, column] * cell(only, train)
    close(cell(weights, train), total, 1e-4)


@pytest.mark.parametrize("train", MODES)
@pytest.mark.parametrize("row", range(6))
def test_mixture_through_linear_operations_is_the_mean_of_its_choices(cell: OneCell, row: int, train: bool) -> None:
    # Skips and pools everywhere else make the cell linear in every edge.
    weights = np.zeros((6, 5))
    weights[np.arange(6), [1, 4, 1, 1, 4, 1]] = 1.0
    share = np.random.default_rng(row).dirichlet(np.ones(5))
    mixed = weights.copy()
    mixed[row] = share
    total = 0.0
    for column in range(5):
        choice = weights.copy()
        choice[row] = np.eye(5)[column]
        total = total + share[column] * cell(choice, train)
    close(cell(mixed, train), total, 1e-4)


def test_weight_of_none_has_no_effect_and_every_other_has(variables: Variables, supernet: Any) -> None:
    rng = np.random.default_rng(3)
    weights = rng.dirichlet(np.ones(5), 6).astype(np.float32)
    base = supernet(variables, {"cell": weights}, images())
    moved = weights.copy()
    moved[:, 0] += rng.normal(size=6).astype(np.float32)
    for (logits, stats), (same, unmoved) in zip(supernet(variables, {"cell": moved}, images()), base, strict=True):
        np.testing.assert_array_equal(logits, same)
        assert jax.tree.all(jax.tree.map(np.array_equal, stats, unmoved))
    for row, column in ((row, column) for row in range(6) for column in range(1, 5)):
        moved = weights.copy()
        moved[row, column] += 0.5
        assert not np.allclose(supernet(variables, {"cell": moved}, images())[1][0], base[1][0], rtol=1e-4)


def test_gradient_with_respect_to_operation_weights_is_the_limit_of_differences(filled: Any) -> None:
    ops = ("none", "nor_conv_1x1", "avg_pool_3x3")
    small, x = nb.space(classes=3, channels=2, cells=1, ops=ops), images((6, 4, 4, 2))
    values = filled(small.init, x.shape)
    rng = np.random.default_rng(4)
    weights = jnp.asarray(rng.dirichlet(np.ones(3), 6), jnp.float32)
    direction = rng.normal(size=(6, 3)).astype(np.float32)

    def loss(weights: jax.Array) -> jax.Array:
        # In evaluation: in training so small a batch bends the loss within any step that float32 resolves.
        logits = small.apply(values, {"cell": weights}, x, train=False)[0]
        return -jax.nn.log_softmax(logits)[jnp.arange(6), jnp.arange(6) % 3].mean()

    value = jax.jit(jax.value_and_grad(loss))
    gradient = np.asarray(value(weights)[1])
    assert np.isfinite(gradient).all()
    assert (gradient[:, 0] == 0.0).all()
    assert (np.abs(gradient[:, 1:]) > 1e-6).all()
    step = 1e-3
    ahead, behind = (float(value(weights + sign * step * direction)[0]) for sign in (1, -1))
    assert (ahead - behind) / (2 * step) == pytest.approx(float((gradient * direction).sum()), rel=2e-2)


def test_gradient_in_training(cell: OneCell) -> None:
    weights = np.random.default_rng(4).dirichlet(np.ones(5), 6)
    base = cell(weights, True)
    cotangent = np.random.default_rng(5).normal(size=base.shape).astype(np.float32)
    gradient = np.asarray(jax.jit(jax.grad(lambda w: jnp.vdot(cell.traced(w, True), cotangent)))(jnp.float32(weights)))
    assert np.isfinite(gradient).all()
    assert (gradient[:, 0] == 0.0).all()
    assert (np.abs(gradient[:, 1:]) > 1e-4).all()
    # The output is linear in the last node's rows, so a difference over any distance is the exact derivative.
    for row in (3, 4, 5):
        moved = weights + 3.0 * np.eye(6)[row][:, None]
        change = np.sum((cell(moved, True) - base) * cotangent)
        assert gradient[row].sum() == pytest.approx(change / 3.0, rel=1e-3, abs=1e-3)


def test_supernet_of_fewer_operations_is_the_full_one_without_the_others(variables: Variables, supernet: Any) -> None:
    ops = ("nor_conv_1x1", "none", "skip_connect")
    few = nb.space(classes=5, channels=3, cells=2, ops=ops)
    shapes = jax.eval_shape(few.init, jax.random.key(0), images())

    def copy(tree: Any) -> Any:
        return lambda path, _: reduce(lambda part, entry: part[entry.key], path, tree)

    own = Variables(
        *(jax.tree_util.tree_map_with_path(copy(tree), part) for tree, part in zip(variables, shapes, strict=True))
    )
    weights = np.random.default_rng(6).dirichlet(np.ones(3), 6).astype(np.float32)
    wide = np.zeros((6, 5), np.float32)
    wide[:, [nb.OPS.index(op) for op in ops]] = weights
    got = jax.jit(lambda v, w, x: few.apply(v, w, x, train=False)[0])(own, {"cell": weights}, images())
    close(got, supernet(variables, {"cell": wide}, images())[1][0])


def test_active_paths_are_a_mixture_without_the_others(variables: Variables) -> None:
    x, labels = images(), jnp.arange(len(images())) % 3
    weights = jnp.asarray(np.random.default_rng(0).random((6, 5)), jnp.float32)
    active = jnp.array([[0, 3], [1, 4], [2, 0], [4, 3], [2, 1], [3, 2]])
    there = jax.nn.one_hot(active, 5).sum(axis=1)

    def value(params: Any, weights: jax.Array, as_paths: bool) -> Any:
        mixed = Paths(weights, active) if as_paths else weights * there
        logits, _ = SPACE.apply(variables._replace(params=params), {"cell": mixed}, x, train=True)
        return cross_entropy(logits, labels), logits

    gradient = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True), static_argnums=2)
    got, expected = (gradient(variables.params, weights, some) for some in (True, False))
    for mine, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-3 * float(jnp.abs(theirs).max()))
    assert (np.asarray(got[1][1])[np.asarray(there) == 0] == 0).all()
