"""What every search space promises."""

import inspect
from collections.abc import Mapping
from types import ModuleType

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import search_spaces
from dnas.errors import UserError
from dnas.run import settings
from dnas.run.config import method_of, setting_table
from dnas.selection import one_hot, random_genotype, top_edges
from dnas.types import Batch, Network, SearchSpace, Variables

PACKAGE = search_spaces
CLASSES = 3
IMAGES = Batch(jnp.zeros((2, 32, 32, 3)), jnp.zeros(2, jnp.int32))
"""A minibatch that every space with images takes."""


@pytest.fixture(scope="module")
def space(module: ModuleType) -> SearchSpace:
    return module.space(classes=CLASSES)


@pytest.fixture(scope="module")
def batch(module: ModuleType) -> Batch:
    """A minibatch that the space takes: that of its module's `example(classes)`, where it takes no images."""
    example = getattr(module, "example", None)
    return example(CLASSES) if example else IMAGES


def test_factories(module: ModuleType) -> None:
    for name in ("space", "build"):
        function = getattr(module, name, None)
        assert callable(function), f"{module.__name__} must hold a function {name!r}"
        for parameter in inspect.signature(function).parameters.values():
            given = parameter.name in ("classes", "genotype")
            assert given == (parameter.default is inspect.Parameter.empty), parameter.name
            assert given or parameter.kind is inspect.Parameter.KEYWORD_ONLY
    assert isinstance(module.PRESETS, Mapping)


def test_space_is_named_after_its_module(space: SearchSpace, member: str) -> None:
    assert isinstance(space, SearchSpace)
    assert space.name == member.rpartition(".")[2]


def test_groups_number_their_edges_once(space: SearchSpace) -> None:
    assert space.spec
    for group in space.spec.values():
        assert group.edges > 0
        assert len(set(group.ops)) == len(group.ops) > 1
        rows = [row for node in group.nodes for row, _ in node]
        assert not rows or sorted(rows) == list(range(group.edges))


def test_supernet_and_derived_network_agree(space: SearchSpace, batch: Batch) -> None:
    x, shape = batch.x, (*batch.y.shape, CLASSES)
    space.check(x.shape[1:])
    variables = jax.eval_shape(space.init, jax.random.key(0), x)
    assert isinstance(variables, Variables)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    weights = {name: jnp.zeros((group.edges, len(group.ops))) for name, group in space.spec.items()}
    logits, stats = jax.eval_shape(lambda v, x: space.apply(v, weights, x, train=True), variables, x)
    assert logits.shape == shape
    chex.assert_trees_all_equal_shapes_and_dtypes(stats, variables.stats)

    genotype = random_genotype(space, np.random.default_rng(0))
    assert genotype.space == space.name
    network = space.build(genotype, searched=True)
    assert isinstance(network, Network)
    own = jax.eval_shape(network.init, jax.random.key(0), x)
    inherited = jax.eval_shape(lambda v: space.inherit(genotype, v), variables)
    chex.assert_trees_all_equal_shapes_and_dtypes(inherited, own)
    output, stats = jax.eval_shape(lambda v, x: network.apply(v, x, train=True, key=jax.random.key(0)), own, x)
    assert output.logits.shape == shape
    chex.assert_trees_all_equal_shapes_and_dtypes(stats, own.stats)


def test_selection_and_its_inverse_fit_the_space(space: SearchSpace) -> None:
    genotype = random_genotype(space, np.random.default_rng(1))
    again = top_edges(space, one_hot(space.spec, genotype))
    for name in space.spec:
        assert [set(node) for node in again[name].nodes] == [set(node) for node in genotype[name].nodes]


def test_images_of_no_size_are_refused(space: SearchSpace) -> None:
    with pytest.raises(UserError):
        space.check((0, 0, 3))


def test_presets_name_only_settings_that_exist(module: ModuleType) -> None:
    assert set(module.PRESETS) >= {"tiny", "small", "paper"}
    table = setting_table(module, method_of("darts"))
    for name, preset in module.PRESETS.items():
        chosen = dict(preset)
        assert isinstance(chosen.pop("data"), str), name
        assert isinstance(chosen.pop("baseline"), int), name
        values = settings.resolve(table, chosen)
        assert all(values[key] == value for key, value in chosen.items())
        own = settings.group(values, "space")
        assert isinstance(module.space(classes=CLASSES, **own), SearchSpace)
