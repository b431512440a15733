"""The DARTS space whose cells choose stage by stage, or each for itself."""

import json
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.report import cell_svg
from dnas.selection import one_hot, random_genotype, skip_cap
from dnas.stopping import skip_count
from dnas.types import SearchSpace, Variables
from search_spaces import darts, rdarts
from search_spaces.darts.cells import check_groups, groups, kind, plan

SHAPE = (4, 8, 8, 3)
OPS = ("none", "skip_connect", "max_pool_3x3", "dil_conv_3x3")
SETTINGS: dict[str, Any] = {"classes": 5, "channels": 4, "cells": 4, "nodes": 1, "ops": OPS}
SHARED, STAGES, CELLS = (darts.space(**SETTINGS, levels=levels) for levels in ("shared", "stages", "cells"))
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@pytest.fixture(scope="module")
def variables(filled: Any) -> Variables:
    return filled(CELLS.init, SHAPE)


@pytest.fixture(scope="module")
def logits(variables: Variables) -> Any:
    x = jnp.asarray(np.random.default_rng(5).normal(size=SHAPE), jnp.float32)
    supernet = jit(lambda weights: CELLS.apply(variables, weights, x, train=False)[0])
    return supernet, x


def tied(space: SearchSpace, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: rows[kind(name)] for name in space.spec}


def test_names() -> None:
    assert groups(8, "shared") == ("normal", "reduce")
    assert groups(8, "stages") == ("normal_0", "reduce_1", "normal_1", "reduce_2", "normal_2")
    assert groups(3, "stages") == ("normal_0", "reduce_1", "reduce_2")
    numbered = ("normal_0", "normal_1", "reduce_2", "normal_3", "normal_4", "reduce_5", "normal_6", "normal_7")
    assert groups(8, "cells") == numbered == tuple(cell.group for cell in plan(8, 1, groups=reversed(numbered)))
    with pytest.raises(UserError, match="did you mean 'cells'"):
        darts.space(classes=3, levels="cell")


def test_published_is_shared() -> None:
    assert tuple(darts.space(classes=10).spec) == ("normal", "reduce")
    assert {name: group for name, group in CELLS.spec.items()} == dict.fromkeys(CELLS.spec, SHARED.spec["normal"])


def test_weights_do_not_depend_on_levels() -> None:
    example = jnp.zeros(SHAPE)
    shapes = [jax.eval_shape(space.init, jax.random.key(0), example) for space in (SHARED, STAGES, CELLS)]
    assert shapes[0] == shapes[1] == shapes[2]


def test_tied_levels_are_the_shared_space(variables: Variables, logits: Any) -> None:
    supernet, x = logits
    rng = np.random.default_rng(0)
    rows = {name: rng.random((2, len(OPS))).astype(np.float32) for name in ("normal", "reduce")}
    expected = jit(lambda rows: SHARED.apply(variables, rows, x, train=False)[0])(rows)
    np.testing.assert_array_equal(supernet(tied(CELLS, rows)), expected)
    by_stage = jit(lambda rows: STAGES.apply(variables, rows, x, train=False)[0])(tied(STAGES, rows))
    np.testing.assert_array_equal(by_stage, expected)
    for name in CELLS.spec:
        other = {**tied(CELLS, rows), name: rows[kind(name)][::-1]}
        assert not np.allclose(supernet(other), expected), name


@pytest.mark.parametrize("seed", [0, 1])
def test_one_hot_supernet_is_the_derived_network(seed: int, variables: Variables, logits: Any) -> None:
    supernet, x = logits
    genotype = random_genotype(CELLS, np.random.default_rng(seed))
    assert len({genotype[name] for name in CELLS.spec}) > 1
    network = CELLS.build(genotype, searched=True)
    derived = jit(lambda v: network.apply(v, x, train=False)[0].logits)(CELLS.inherit(genotype, variables))
    expected = supernet(one_hot(CELLS.spec, genotype))
    np.testing.assert_allclose(derived, expected, rtol=1e-5, atol=1e-5 * float(np.abs(expected).max()))


def test_a_genotype_is_written_read_and_drawn() -> None:
    genotype = random_genotype(CELLS, np.random.default_rng(3))
    again = Genotype.from_json(json.loads(json.dumps(genotype.to_json())))
    assert again == genotype
    darts.check_genotype(again)
    assert str(again).splitlines()[1].startswith("reduce_1: ")
    for name, cell in again.cells:
        assert name in cell_svg(cell, name)


def chosen(genotype: Genotype, cells: int) -> list[str]:
    return [cell.group for cell in plan(cells, 1, groups=(name for name, _ in genotype.cells))]


def test_a_network_of_another_depth_takes_cells_in_proportion() -> None:
    deep = random_genotype(darts.space(**{**SETTINGS, "cells": 8}, levels="cells"), np.random.default_rng(0))
    assert chosen(deep, 8) == [name for name, _ in deep.cells]
    expected = ["normal_0"] * 3 + ["normal_1"] * 3 + ["reduce_2"] + ["normal_3"] * 3 + ["normal_4"] * 3 + ["reduce_5"]
    assert chosen(deep, 20) == [*expected, *["normal_6"] * 3, *["normal_7"] * 3]
    stages = random_genotype(STAGES, np.random.default_rng(0))
    # Four cells are normal, reduce, reduce, normal: nothing was searched between the reductions.
    assert chosen(stages, 8) == ["normal_0"] * 2 + ["reduce_1"] + ["normal_0"] * 2 + ["reduce_2"] + ["normal_2"] * 2
    few = random_genotype(darts.space(**{**SETTINGS, "cells": 3}, levels="cells"), np.random.default_rng(0))
    assert chosen(few, 5) == ["normal_0", "reduce_1", "normal_0", "reduce_2", "normal_0"]
    assert darts.build(deep, classes=5, channels=4, cells=11, auxiliary=False).workload((8, 8, 3)).params > 0


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("normal",),
        ("normal", "reduce", "reduce_2"),
        ("normal_0", "reduce_1"),
        ("normal_0", "reduce_1", "reduce_1"),
        ("reduce_0", "reduce_1", "normal_2"),
        ("normal_0", "reduce_1", "reduce_2", "reduce_3"),
        ("normal_0", "reduce_1", "reduce_02"),
        ("normal_0", "reduce_1", "reduce_two"),
    ],
)
def test_other_names_are_refused(names: tuple[str, ...], sentence: Any) -> None:
    assert not check_groups(names)
    cell = darts.published()["DARTS_V2"]["normal"]
    with sentence("'normal' and 'reduce'", "got"):
        darts.check_genotype(Genotype("darts", tuple((name, cell) for name in names)))


def test_other_code_knows_normal_cells_by_their_names() -> None:
    weights = {name: np.tile(np.array([0.1, 0.9, 0.2, 0.3], np.float32), (2, 1)) for name in CELLS.spec}
    found = skip_cap(1)(CELLS, weights)
    assert {name: skip_count(found, name) for name in CELLS.spec} == {
        name: 1 if kind(name) == "normal" else 2 for name in CELLS.spec
    }
    subset = rdarts.space(classes=3, channels=4, cells=3, nodes=2, subset="S1")
    genotype = random_genotype(subset, np.random.default_rng(0))
    names = ("normal_0", "reduce_1", "reduce_2")
    level = Genotype("rdarts", tuple((name, genotype[kind(name)]) for name in names))
    assert subset.build(level, searched=True).workload((8, 8, 3)).params > 0
