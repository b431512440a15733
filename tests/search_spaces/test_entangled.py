"""Supernets whose convolutions share kernels: their laws on both spaces."""

from functools import partial
from itertools import count
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.genotype import Genotype
from dnas.nn.families import own_part
from dnas.selection import one_hot, random_genotype
from dnas.types import Output, Paths, SearchSpace, Variables
from search_spaces import darts
from search_spaces import nasbench201 as nb
from search_spaces.nasbench201.cells import EDGES
from search_spaces.nasbench201.supernet import SearchCell

SHAPE = (6, 8, 8, 2)
DTYPES = ("bfloat16", "float32")
DARTS_OPS = ("none", "dil_conv_3x3", "sep_conv_3x3", "skip_connect", "dil_conv_5x5", "sep_conv_5x5")
SPACES = {
    "nasbench201": nb.space(classes=3, channels=2, cells=1, entangled=True),
    "darts": darts.space(classes=3, channels=4, cells=3, nodes=1, ops=DARTS_OPS, entangled=True),
}
# Compiles in half the time; the programs run for milliseconds.
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def images() -> jax.Array:
    return jnp.asarray(np.random.default_rng(5).normal(size=SHAPE), jnp.float32)


def close(got: Any, expected: Any, tolerance: float = 1e-4) -> None:
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    # Relative to the largest entry: single logits may be near zero.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * float(np.abs(b).max())),
        got,
        expected,
    )


@pytest.fixture(scope="module", params=SPACES)
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return SPACES[request.param]


def with_smaller_size(space: SearchSpace) -> Genotype:
    """Return a random architecture that holds an operation whose kernel is a slice of another's."""
    for seed in count():
        genotype = random_genotype(space, np.random.default_rng(seed))
        ops = {edge.op for _, cell in genotype.cells for node in cell.nodes for edge in node}
        if ops & {"nor_conv_1x1", "dil_conv_3x3", "sep_conv_3x3"}:
            return genotype


def test_one_hot_supernet_is_the_derived_network(space: SearchSpace, filled: Any) -> None:
    genotype, x, variables = with_smaller_size(space), images(), filled(space.init, SHAPE)
    supernet = jit(lambda v, w, x: [space.apply(v, w, x, train=train) for train in (True, False)])
    network, inherited = space.build(genotype, searched=True), space.inherit(genotype, variables)
    (trained, after), (evaluated, unchanged) = supernet(variables, one_hot(space.spec, genotype), x)
    derived = jit(lambda v, x: [network.apply(v, x, train=train) for train in (True, False)])
    (output, stats), (evaluation, _) = derived(inherited, x)
    close(output, Output(trained))
    close(stats, space.inherit(genotype, Variables(variables.params, after)).stats)
    close(evaluation, Output(evaluated))
    chex.assert_trees_all_equal(unchanged, variables.stats)
    assert np.ptp(evaluation.logits) > 0.1


def test_what_is_inherited_fits_the_network(space: SearchSpace) -> None:
    variables = jax.eval_shape(space.init, jax.random.key(0), images())
    for seed in range(6):
        genotype = random_genotype(space, np.random.default_rng(seed))
        own = jax.eval_shape(space.build(genotype, searched=True).init, jax.random.key(0), images())
        inherited = jax.eval_shape(partial(space.inherit, genotype), variables)
        chex.assert_trees_all_equal_shapes_and_dtypes(inherited, own)


def cell(train: bool, entangled: bool = True, dtype: str = "float32") -> SearchCell:
    return SearchCell(nb.OPS, 2, train, jnp.dtype(dtype), entangled=entangled)


@pytest.fixture(scope="module")
def variables(filled: Any) -> Any:
    """Those of a cell of NAS-Bench-201 with shared kernels."""
    return filled(lambda key, x: cell(True).init(key, x, 0, jnp.zeros((6, 5))), SHAPE)


def run(module: SearchCell, variables: Any, weights: jax.Array | Paths) -> tuple[jax.Array, Any]:
    """Return the cell's last state and the statistics after it."""
    (y, _), updated = module.apply(variables, images(), 0, weights, mutable=["batch_stats"])
    return y, updated["batch_stats"]


def weights_of_cell(seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).dirichlet(np.ones(5), 6), jnp.float32)


def test_active_paths_are_a_mixture_without_the_others(variables: Any) -> None:
    # Columns 2 and 3 are the convolutions: both in either order, one of each, and none.
    active = jnp.array([[2, 3], [3, 2], [0, 2], [3, 4], [1, 4], [2, 1]])
    there = jax.nn.one_hot(active, 5).sum(axis=1)

    def value(params: Any, weights: jax.Array, as_paths: bool) -> Any:
        mixed = Paths(weights, active) if as_paths else weights * there
        y, stats = run(cell(True), {**variables, "params": params}, mixed)
        return jnp.sin(y).sum(), (y, stats)

    gradient = jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True), static_argnums=2)
    got, expected = (gradient(variables["params"], weights_of_cell(), some) for some in (True, False))
    close(got[0][1][0], expected[0][1][0])
    close(got[1][0], expected[1][0], 1e-3)
    close(got[1][1], expected[1][1] * there, 1e-3)
    np.testing.assert_array_equal(got[1][1][:, 2:4] != 0, there[:, 2:4] > 0)
    for edge, own in got[0][1][1].items():
        row = [f"edge_{target}_{source}_nor_conv_3x3" for target, source in EDGES].index(edge)
        before = variables["batch_stats"] if row == 4 else expected[0][1][1]
        close(own, before[edge])


def separated(tree: Any) -> Any:
    """Return the parameters, or statistics, of separate convolutions that compute what the shared ones do."""
    largest, sizes = "nor_conv_3x3", ("nor_conv_1x1", "nor_conv_3x3")
    return {
        f"{name.removesuffix(largest)}{op}": own_part(op, largest, part) for name, part in tree.items() for op in sizes
    }


def test_with_running_statistics_it_is_the_cell_of_separate_convolutions(variables: Any) -> None:
    # Batch norm with running statistics is affine, so that the sum of convolutions may be taken before or after it.
    apart = {kind: separated(tree) for kind, tree in variables.items()}
    own = jax.eval_shape(lambda x: cell(True, False).init(jax.random.key(0), x, 0, jnp.zeros((6, 5))), images())
    chex.assert_trees_all_equal_shapes_and_dtypes(apart, own)

    def value(weights: jax.Array, of: Any, entangled: bool) -> jax.Array:
        return jnp.sin(run(cell(False, entangled), of, weights)[0]).sum()

    gradient = jit(jax.value_and_grad(value), static_argnums=2)
    close(gradient(weights_of_cell(), variables, True), gradient(weights_of_cell(), apart, False))


def test_many_weights_at_once(variables: Any) -> None:
    rows = jnp.stack([weights_of_cell(seed) for seed in (1, 2)])
    output = lambda weights: run(cell(True), variables, weights)[0]  # noqa: E731
    together, alone = jit(jax.vmap(output))(rows), jit(output)
    for got, row in zip(together, rows, strict=True):
        close(got, alone(row))


def test_bfloat16_mixes_as_float32_does(variables: Any) -> None:
    half, full = (jit(partial(run, cell(True, dtype=dtype)))(variables, weights_of_cell()) for dtype in DTYPES)
    assert {leaf.dtype for leaf in jax.tree.leaves(half[1])} == {jnp.dtype("float32")}
    assert not np.array_equal(half[0], full[0])
    np.testing.assert_allclose(half[0], full[0], atol=0.05 * float(jnp.abs(full[0]).max()))


def test_supernet_holds_no_kernels_of_the_smaller_sizes() -> None:
    def size(space: SearchSpace) -> int:
        shapes = jax.eval_shape(space.init, jax.random.key(0), images())
        return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes.params))

    width = 2
    space = SPACES["nasbench201"]
    assert size(space.rebuild(entangled=False)) - size(space) == 6 * width**2 * (1 + 4 + 16)
    # Three cells of two edges; a separable convolution has two depthwise and two pointwise kernels, a dilated one each.
    space = SPACES["darts"]
    saved = sum(2 * (2 + 1) * (9 * channels + channels**2) for channels in (4, 8, 16))
    assert size(space.rebuild(entangled=False)) - size(space) == saved


@pytest.mark.parametrize("module", [nb, darts])
def test_a_space_without_two_sizes_is_refused(module: Any, sentence: Any) -> None:
    ops = ("skip_connect", "none", "avg_pool_3x3")
    with sentence("space.entangled", "two sizes", *ops):
        module.space(classes=3, ops=ops, entangled=True)


def test_partial_channels_go_through_shared_kernels(filled: Any) -> None:
    space = SPACES["darts"].rebuild(partial_channels=2)
    variables = filled(space.init, SHAPE)
    weights = {name: jnp.zeros((group.edges, len(group.ops))) for name, group in space.spec.items()}
    logits, stats = jax.eval_shape(partial(space.apply, train=True), variables, weights, jnp.zeros(SHAPE))
    assert logits.shape == (SHAPE[0], 3)
    chex.assert_trees_all_equal_shapes_and_dtypes(stats, variables.stats)
