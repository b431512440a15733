"""Shapes, types, parameters and initial values of the NAS-Bench-201 networks."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from dnas.selection import random_genotype
from dnas.types import Variables
from search_spaces import nasbench201 as nb

FULL = nb.from_string("|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|avg_pool_3x3~0|none~1|skip_connect~2|")
SIZES = [((3, 16, 8, 4), 3, 2, 7), ((1, 4, 12, 3), 1, 3, 2)]
"""Shape of the images, channels C, cells N, classes."""


def flat(tree: Any) -> dict[str, Any]:
    """Return the leaves by their path."""
    return {"/".join(entry.key for entry in path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def traced(init: Callable[..., Variables], shape: tuple[int, ...]) -> Variables:
    return jax.eval_shape(init, jax.random.key(0), jnp.zeros(shape))


def dtypes(tree: Any) -> set[Any]:
    return {leaf.dtype for leaf in jax.tree.leaves(tree)}


@pytest.mark.parametrize(("shape", "channels", "cells", "classes"), SIZES)
def test_supernet(shape: tuple[int, ...], channels: int, cells: int, classes: int) -> None:
    space = nb.space(classes=classes, channels=channels, cells=cells)
    space.check(shape[1:])
    variables = traced(space.init, shape)
    params, stats = flat(variables.params), flat(variables.stats)
    assert params["stem/conv/kernel"].shape == (3, 3, shape[-1], channels)
    assert params["head/dense/kernel"].shape == (4 * channels, classes)
    for stage, width in enumerate((channels, 2 * channels, 4 * channels)):
        for edge in ("1_0", "2_0", "2_1", "3_0", "3_1", "3_2"):
            name = f"stage_{stage}/edge_{edge}_nor_conv"
            assert params[f"{name}_3x3/conv/kernel"].shape == (cells, 3, 3, width, width)
            assert params[f"{name}_1x1/conv/kernel"].shape == (cells, width, width)
            assert stats[f"{name}_1x1/norm/bn/mean"].shape == (cells, width)
        if stage:
            name = f"residual_{stage}"
            assert params[f"{name}/conv_0/conv/kernel"].shape == (3, 3, width // 2, width)
            assert params[f"{name}/conv_1/conv/kernel"].shape == (3, 3, width, width)
            assert params[f"{name}/shortcut/kernel"].shape == (width // 2, width)
    for train in (True, False):
        run = partial(space.apply, train=train)
        logits, after = jax.eval_shape(run, variables, {"cell": jnp.zeros((6, 5))}, jnp.zeros(shape))
        assert (logits.shape, logits.dtype) == ((shape[0], classes), jnp.float32)
        assert flat(after) == stats


@pytest.mark.parametrize(("shape", "channels", "cells", "classes"), SIZES)
def test_derived_network(shape: tuple[int, ...], channels: int, cells: int, classes: int) -> None:
    network = nb.build(FULL, classes=classes, channels=channels, cells=cells)
    variables = traced(network.init, shape)
    kernels = {name: leaf.shape for name, leaf in flat(variables.params).items() if name.endswith("conv/kernel")}
    expected: dict[str, tuple[int, ...]] = {"stem/conv/kernel": (3, 3, shape[-1], channels)}
    for stage, width in enumerate((channels, 2 * channels, 4 * channels)):
        for cell in range(cells):
            expected[f"stage_{stage}_{cell}/edge_1_0_nor_conv_3x3/conv/kernel"] = (3, 3, width, width)
            expected[f"stage_{stage}_{cell}/edge_2_0_nor_conv_1x1/conv/kernel"] = (width, width)
            expected[f"stage_{stage}_{cell}/edge_2_1_nor_conv_3x3/conv/kernel"] = (3, 3, width, width)
        if stage:
            expected[f"residual_{stage}/conv_0/conv/kernel"] = (3, 3, width // 2, width)
            expected[f"residual_{stage}/conv_1/conv/kernel"] = (3, 3, width, width)
    assert kernels == expected
    for train in (True, False):
        output, stats = jax.eval_shape(partial(network.apply, train=train), variables, jnp.zeros(shape))
        assert (output.logits.shape, output.logits.dtype) == ((shape[0], classes), jnp.float32)
        assert output.auxiliary is None
        assert flat(stats) == flat(variables.stats)


def test_batch_norm_is_affine_around_the_cells_and_within_them_only_where_asked() -> None:
    shape = (2, 8, 8, 3)
    space = nb.space(classes=3, channels=2, cells=2)
    trees = {
        "supernet": traced(space.init, shape),
        "searched": traced(space.build(FULL, searched=True).init, shape),
        "default": traced(nb.build(FULL, classes=3, channels=2, cells=2).init, shape),
    }
    for name, variables in trees.items():
        norms = {path.removesuffix("/mean") for path in flat(variables.stats) if path.endswith("/mean")}
        affine = {path.removesuffix("/scale") for path in flat(variables.params) if path.endswith("/scale")}
        assert affine == {path.removesuffix("/bias") for path in flat(variables.params) if path.endswith("bn/bias")}
        around = {path for path in norms if not path.startswith("stage_")}
        assert around == {
            "stem/norm/bn",
            "last_norm/bn",
            *(f"residual_{index}/conv_{half}/norm/bn" for index in (1, 2) for half in (0, 1)),
        }
        assert norms > around
        assert affine == (norms if name == "default" else around)


def test_searched_network_takes_the_settings_of_its_supernet() -> None:
    space = nb.space(classes=3, channels=2, cells=3, dtype="bfloat16")
    shape = (2, 4, 4, 1)
    own = traced(space.build(FULL, searched=True).init, shape)
    assert own.params["stem"]["conv"]["kernel"].shape[-1] == 2
    assert sum(name.startswith("stage_0") for name in own.params) == 3
    published = traced(space.build(FULL).init, shape)
    assert published.params["stem"]["conv"]["kernel"].shape[-1] == 16
    assert sum(name.startswith("stage_0") for name in published.params) == 5
    for seed in range(3):
        genotype = random_genotype(space, np.random.default_rng(seed))
        inherited = jax.eval_shape(partial(space.inherit, genotype), traced(space.init, shape))
        built = traced(space.build(genotype, searched=True).init, shape)
        assert jax.tree.structure(inherited) == jax.tree.structure(built)
        assert flat(inherited.params) == flat(built.params)
        assert flat(inherited.stats) == flat(built.stats)


def test_every_cell_and_edge_of_the_supernet_starts_uniform_with_weights_of_its_own() -> None:
    space = nb.space(classes=3, channels=8, cells=2, ops=("nor_conv_3x3", "none"))
    wanted = [(0, "1_0"), (0, "2_1"), (1, "1_0"), (2, "3_1")]

    def kernels() -> list[jax.Array]:
        params = flat(space.init(jax.random.key(0), jnp.zeros((1, 4, 4, 1))).params)
        return [params[f"stage_{stage}/edge_{edge}_nor_conv_3x3/conv/kernel"] for stage, edge in wanted]

    starts = set()
    for kernel in jax.jit(kernels)():
        for cell in np.asarray(kernel) * (9 * kernel.shape[-2]) ** 0.5:
            assert 0.95 < np.abs(cell).max() <= 1.0
            assert np.std(cell) == pytest.approx(3**-0.5, rel=0.1)
            starts.add(tuple(cell.ravel()[:10]))
    assert len(starts) == 2 * len(wanted)


def test_without_convolutions_the_cells_hold_nothing() -> None:
    space = nb.space(classes=3, channels=2, cells=2, ops=("skip_connect", "avg_pool_3x3"))
    variables = traced(space.init, (2, 8, 8, 1))
    for tree in variables:
        assert not any(name.startswith("stage_") for name in tree)


def test_bfloat16_computes_close_to_float32_and_keeps_float32_variables(filled: Any) -> None:
    shape, ops = (4, 8, 8, 2), ("avg_pool_3x3", "nor_conv_3x3", "skip_connect")
    settings = {"classes": 3, "channels": 4, "cells": 1, "ops": ops}
    half, full = nb.space(**settings, dtype="bfloat16"), nb.space(**settings)
    variables = filled(half.init, shape)
    assert dtypes(variables) == {jnp.dtype("float32")}
    rng = np.random.default_rng(0)
    weights = {"cell": jnp.asarray(rng.dirichlet(np.ones(3), 6), jnp.float32)}
    x = jnp.asarray(rng.normal(size=shape), jnp.float32)
    assert dtypes(jax.eval_shape(partial(half.apply, train=True), variables, weights, x)) == {jnp.dtype("float32")}
    both = jax.jit(lambda *arguments: [space.apply(*arguments, train=False)[0] for space in (half, full)])
    got, expected = both(variables, weights, x)
    assert not np.array_equal(got, expected)
    np.testing.assert_allclose(got, expected, atol=0.05 * float(jnp.abs(expected).max()))


def test_bfloat16_derived_network_keeps_float32_variables_and_logits() -> None:
    network = nb.build(FULL, classes=3, channels=4, cells=1, dtype="bfloat16")
    variables = traced(network.init, (2, 8, 8, 3))
    after = jax.eval_shape(partial(network.apply, train=True), variables, jnp.zeros((2, 8, 8, 3)))
    assert dtypes(variables) | dtypes(after) == {jnp.dtype("float32")}


def product_types(jaxpr: Any) -> Counter:
    """Count the types that a program's convolutions and matrix products compute in, those of its loops included."""
    found: Counter = Counter()
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("conv_general_dilated", "dot_general"):
            found[str(equation.outvars[0].aval.dtype)] += 1
        for inner in jaxprs_in_params(equation.params):
            found += product_types(inner)
    return found


def test_all_but_the_head_compute_in_the_type_asked_for() -> None:
    space = nb.space(classes=3, channels=4, cells=1, dtype="bfloat16")
    x, weights = jnp.zeros((2, 8, 8, 3)), {"cell": jnp.zeros((6, 5))}
    network = space.build(FULL, searched=True)
    around = 1 + 2 * 3
    for program, convolutions in (
        (jax.make_jaxpr(partial(space.apply, train=True))(traced(space.init, x.shape), weights, x), 3 * 6 * 2),
        (jax.make_jaxpr(partial(network.apply, train=True))(traced(network.init, x.shape), x), 3 * 3),
    ):
        types = product_types(program.jaxpr)
        assert set(types) == {"bfloat16", "float32"}
        assert types["float32"] == 1
        # A 1x1 convolution is written once for each kind of platform.
        assert types["bfloat16"] >= around + convolutions
