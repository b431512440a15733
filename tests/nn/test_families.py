"""Mixed operations of which some share their kernels."""

from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nn.families import Terms, check_entangled, holders, own_part
from dnas.nn.mixed import MixedEdges, MixedOp, Mixture
from dnas.nn.operations import operation
from dnas.types import Paths

OPS = ("none", "avg_pool_3x3", "dil_conv_3x3", "sep_conv_3x3", "skip_connect", "dil_conv_5x5", "sep_conv_5x5")
FEW = ("none", "avg_pool_3x3", "dil_conv_3x3", "skip_connect", "dil_conv_5x5")
"""For loops over edges, which compile slowly."""
SHAPE = (2, 4, 6, 4)
PAIRS = {1: ((2, 0), (3, 0), (2, 1), (3, 2)), 2: ((2, 0), (2, 1), (3, 1))}


def draw(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), jnp.float32)


def mixture(stride: int, parts: int = 1, ops: tuple[str, ...] = OPS, dtype: Any = jnp.float32) -> Mixture:
    return Mixture(ops, SHAPE[-1], stride, dtype, parts, entangled=True)


def variables_of(module: MixedOp) -> Any:
    """Variables with running statistics far from their start."""
    variables = module.init(jax.random.key(0), draw(*SHAPE), jnp.zeros(len(module.mixture.ops)), True)
    rng = np.random.default_rng(1)
    moved = lambda leaf: jnp.asarray(rng.uniform(0.5, 2.0, leaf.shape), jnp.float32)  # noqa: E731
    return {**variables, "batch_stats": jax.tree.map(moved, variables["batch_stats"])}


def single(variables: Any, op: str, x: jax.Array, stride: int, train: bool) -> tuple[jax.Array, Any]:
    """Return what an operation computes of its own part of a mixture's variables."""
    holder = holders(OPS)[op]
    own = {kind: own_part(op, holder, tree[holder]) for kind, tree in variables.items() if holder in tree}
    module = operation(op)(SHAPE[-1], stride, affine=False, pool_norm=True)
    return module.apply(own, x, train, mutable=["batch_stats"])


def test_families_are_the_sizes_of_one_convolution() -> None:
    assert holders(OPS) == {
        **{op: op for op in OPS},
        "dil_conv_3x3": "dil_conv_5x5",
        "sep_conv_3x3": "sep_conv_5x5",
    }
    assert holders(("sep_conv_7x7", "sep_conv_3x3", "nor_conv_1x1")) == {
        "sep_conv_7x7": "sep_conv_7x7",
        "sep_conv_3x3": "sep_conv_7x7",
        "nor_conv_1x1": "nor_conv_1x1",
    }
    names = Terms(OPS, entangled=True).names
    assert names == ("none", "avg_pool_3x3", "dil_conv_5x5", "sep_conv_5x5", "skip_connect", "none")
    assert Terms(OPS).names == OPS


def test_a_family_has_the_parameters_of_its_largest_member() -> None:
    module = MixedOp(mixture(1))
    variables = jax.eval_shape(partial(module.init, train=True), jax.random.key(0), draw(*SHAPE), jnp.zeros(len(OPS)))
    largest = MixedOp(Mixture(tuple(op for op in OPS if "conv_3x3" not in op), SHAPE[-1]))
    expected = jax.eval_shape(partial(largest.init, train=True), jax.random.key(0), draw(*SHAPE), jnp.zeros(5))
    chex.assert_trees_all_equal_shapes_and_dtypes(variables, expected)


def test_one_hot_weights_are_the_operation_with_its_own_part() -> None:
    stride = 2
    module, x = MixedOp(mixture(stride)), draw(*SHAPE)
    variables = variables_of(module)
    for train in (True, False):
        run = jax.jit(lambda weights, train=train: module.apply(variables, x, weights, train, mutable=["batch_stats"]))
        for column, op in enumerate(OPS):
            got, updated = run(jnp.eye(len(OPS))[column])
            expected, after = jax.jit(single, static_argnums=(1, 3, 4))(variables, op, x, stride, train)
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
            if after:
                own = updated["batch_stats"][holders(OPS)[op]]
                chex.assert_trees_all_close(own, after["batch_stats"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "ops", [("dil_conv_3x3", "none", "dil_conv_5x5"), ("nor_conv_3x3", "skip_connect", "nor_conv_1x1")]
)
def test_with_running_statistics_a_family_is_the_weighted_sum_of_its_members(ops: tuple[str, ...]) -> None:
    module, x = MixedOp(mixture(1, ops=ops)), draw(*SHAPE)
    variables = variables_of(module)
    plain = MixedOp(Mixture(ops, SHAPE[-1]))

    def entangled(params: Any, weights: jax.Array) -> jax.Array:
        return jnp.sin(module.apply({**variables, "params": params}, x, weights, False)).sum()

    def separate(params: Any, weights: jax.Array) -> jax.Array:
        whole = {**variables, "params": params}
        apart = {
            kind: {op: own_part(op, holders(ops)[op], tree[holders(ops)[op]]) for op in ops if "conv" in op}
            for kind, tree in whole.items()
        }
        return jnp.sin(plain.apply(apart, x, weights, False)).sum()

    weights = jnp.array([0.5, 0.2, 0.9])
    got, expected = (
        jax.jit(jax.value_and_grad(function, argnums=(0, 1)))(variables["params"], weights)
        for function in (entangled, separate)
    )
    chex.assert_trees_all_close(got, expected, rtol=1e-4, atol=1e-4)


def test_in_training_a_family_weighs_the_sum_of_its_members_weights() -> None:
    ops = ("sep_conv_3x3", "sep_conv_5x5")
    module, x = MixedOp(mixture(1, ops=ops)), draw(*SHAPE)
    variables, weights = variables_of(module), jnp.array([0.1, 0.3])
    run = jax.jit(lambda weights: module.apply(variables, x, weights, True, mutable=["batch_stats"])[0])
    np.testing.assert_allclose(run(3 * weights), 3 * run(weights), rtol=1e-4, atol=1e-5)
    # A family that weighs nothing adds nothing, and its weights still have a derivative.
    slope = jax.jit(jax.jacobian(run))
    assert not np.asarray(run(0 * weights)).any()
    np.testing.assert_allclose(slope(0 * weights)[..., 1], run(jnp.array([0.0, 1.0])), rtol=1e-4, atol=1e-4)
    assert np.isfinite(slope(0 * weights)).all()
    # The value is homogeneous, so that Euler's relation holds.
    np.testing.assert_allclose(slope(weights) @ weights, run(weights), rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module", params=[(1, 1), (2, 2)], ids=["stride 1", "stride 2 and parts"])
def edges(request: pytest.FixtureRequest) -> Any:
    """Loops over edges, their variables, states, sources and weights."""
    stride, parts = request.param
    wide = (SHAPE[0], 2 * SHAPE[1], 2 * SHAPE[2], SHAPE[3])
    states, sources = draw(4, *SHAPE), draw(2, *wide) if stride == 2 else None
    weights = jax.nn.softmax(draw(len(PAIRS[stride]), len(FEW)))
    loop = MixedEdges(PAIRS[stride], mixture(stride, parts, FEW))
    return loop, loop.init(jax.random.key(0), states, sources, weights, True), states, sources, weights


def with_gradient(edges: Any, mixed: Any, recompute: bool = True) -> Any:
    loop, variables, states, sources, weights = edges

    def value(params: Any, weights: jax.Array) -> Any:
        own = {**variables, "params": params}
        module = loop.clone(recompute=recompute)
        filled, updated = module.apply(own, states, sources, mixed(weights), True, mutable=["batch_stats"])
        return jnp.sin(filled).sum(), (filled, updated["batch_stats"]["op"])

    return jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True))(variables["params"], weights)


def test_loops_of_families_are_the_plain_scan(edges: Any) -> None:
    got, expected = (with_gradient(edges, lambda weights: weights, recompute) for recompute in (True, False))
    chex.assert_trees_all_close(got, expected, rtol=1e-3, atol=1e-4)


def test_active_paths_are_a_mixture_without_the_others(edges: Any) -> None:
    # Both sizes of the convolution in either order, and one of each; fewer edges with stride 2.
    active = jnp.array([[2, 4], [2, 1], [4, 2], [0, 4]])[: len(edges[-1])]
    there = jax.nn.one_hot(active, len(FEW)).sum(axis=1)
    sampled, masked = (
        with_gradient(edges, mixed)
        for mixed in (lambda weights: Paths(weights, active), lambda weights: weights * there)
    )
    chex.assert_trees_all_close(sampled[1], masked[1], rtol=1e-3, atol=1e-4)
    chex.assert_trees_all_close(sampled[0][1][0], masked[0][1][0], rtol=1e-4, atol=1e-5)
    slopes, reached = np.asarray(sampled[1][1])[:, [2, 4]], np.asarray(there)[:, [2, 4]] > 0
    np.testing.assert_array_equal(slopes != 0, reached)
    # Statistics move once, and only those of operations that are computed.
    for name, columns in (("dil_conv_5x5", [2, 4]), ("avg_pool_3x3", [1])):
        ran = np.asarray(there)[:, columns].any(axis=1)
        moved, wanted = (jax.tree.leaves(stats[name]) for (_, (_, stats)), _ in (sampled, masked))
        start = jax.tree.leaves(edges[1]["batch_stats"]["op"][name])
        for mine, theirs, before in zip(moved, wanted, start, strict=True):
            np.testing.assert_allclose(mine[ran], theirs[ran], rtol=1e-4, atol=1e-6)
            np.testing.assert_array_equal(mine[~ran], before[~ran])


def test_bfloat16_mixes_kernels_in_float32() -> None:
    half, full = (MixedOp(mixture(1, 1, FEW, dtype)) for dtype in (jnp.bfloat16, jnp.float32))
    x, weights = draw(*SHAPE), jnp.full(len(FEW), 1 / len(FEW))
    variables = variables_of(half)
    got = half.apply(variables, x.astype(jnp.bfloat16), weights, False)
    assert got.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    expected = full.apply(variables, x, weights, False)
    np.testing.assert_allclose(got.astype(jnp.float32), expected, atol=0.05 * float(jnp.abs(expected).max()))


def test_operations_without_a_family_are_refused(sentence: Any) -> None:
    check_entangled(False, ("skip_connect", "sep_conv_3x3"))
    check_entangled(True, ("sep_conv_5x5", "skip_connect", "sep_conv_3x3"))
    for ops in (("skip_connect", "sep_conv_3x3", "dil_conv_5x5"), ("none", "avg_pool_3x3")):
        with sentence("space.entangled", "two sizes", *ops):
            check_entangled(True, ops)
