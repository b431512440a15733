"""Bad input to the DARTS space: one sentence that says what was got and what was expected."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.types import Variables
from search_spaces import darts

GOOD = darts.published()["DARTS_V2"]


def sentence(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


def altered(**changes: Any) -> Genotype:
    """Change the reduction cell of a valid genotype."""
    return Genotype("darts", (("normal", GOOD["normal"]), ("reduce", dataclasses.replace(GOOD["reduce"], **changes))))


def with_edge(op: str, source: int) -> Genotype:
    nodes = GOOD["reduce"].nodes
    return altered(nodes=(nodes[0], (nodes[1][0], Edge(op, source)), *nodes[2:]))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cells": 2}, ["cells", "at least 3", "got 2"]),
        ({"cells": -1}, ["cells", "at least 3", "got -1"]),
        ({"classes": 1}, ["classes", "at least 2", "got 1"]),
        ({"classes": 0}, ["classes", "at least 2", "got 0"]),
        ({"channels": 0}, ["channels", "at least 1", "got 0"]),
        ({"nodes": -3}, ["nodes", "at least 1", "got -3"]),
        ({"stem_multiplier": 0}, ["stem_multiplier", "at least 1", "got 0"]),
        ({"ops": ("skip_conect", "sep_conv_3x3")}, ["'skip_conect'", "did you mean 'skip_connect'"]),
        ({"ops": ("sep_conv_3x3", "none", "sep_conv_3x3")}, ["different operations", "sep_conv_3x3, none"]),
        ({"ops": ("none",)}, ["beside 'none'", "got none"]),
        ({"ops": ()}, ["at least one operation", "got nothing"]),
        ({"dtype": "bfloat32"}, ["'bfloat32'", "float32", "bfloat16"]),
    ],
)
def test_settings_of_the_space(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        darts.space(**{"classes": 10, **settings})
    assert all(word in sentence(error) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cells": 2}, ["cells", "at least 3", "got 2"]),
        ({"channels": 0}, ["channels", "at least 1", "got 0"]),
        ({"classes": 1}, ["classes", "at least 2", "got 1"]),
        ({"stem": "imagnet"}, ["'imagnet'", "did you mean 'imagenet'"]),
        ({"dtype": "float64"}, ["'float64'", "float32"]),
    ],
)
def test_settings_of_the_derived_network(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        darts.build(GOOD, **{"classes": 10, **settings})
    assert all(word in sentence(error) for word in words), str(error.value)


@pytest.mark.parametrize("shape", [(30, 30, 3), (32, 30, 3), (2, 2, 1), (31, 32, 1), (0, 0, 3)])
def test_images_that_the_reductions_cannot_halve_twice(shape: tuple[int, int, int]) -> None:
    for check in (
        lambda: darts.space(classes=10).check(shape),
        lambda: jax.eval_shape(
            darts.build(GOOD, classes=10, auxiliary=False).init, jax.random.key(0), jnp.zeros((1, *shape))
        ),
    ):
        with pytest.raises(UserError) as error:
            check()
        assert f"{shape[0]}x{shape[1]}" in sentence(error)
        assert "multiples of 4" in sentence(error)


def test_images_too_small_for_the_auxiliary_head_or_the_imagenet_stem() -> None:
    for settings, size, words in (
        ({}, 28, "auxiliary head needs at least 32x32"),
        ({"stem": "imagenet"}, 48, "multiples of 32"),
    ):
        network = darts.build(GOOD, classes=10, **settings)
        with pytest.raises(UserError) as error:
            jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, size, size, 3)))
        assert words in sentence(error)
        assert f"{size}x{size}" in sentence(error)


@pytest.mark.parametrize(
    ("genotype", "words"),
    [
        (with_edge("max_pool_3x4", 0), ["reduce", "node 1", "'max_pool_3x4'", "did you mean 'max_pool_3x3'"]),
        (with_edge("zzz", 0), ["unknown operation 'zzz'", "skip_connect"]),
        (with_edge("skip_connect", 3), ["reduce", "node 1", "from 0 to 2", "got 3"]),
        (with_edge("skip_connect", -1), ["reduce", "node 1", "from 0 to 2", "got -1"]),
        (altered(concat=(2, 6)), ["reduce", "concat", "0 to 5", "[2, 6]"]),
        (altered(concat=(-1,)), ["reduce", "concat", "0 to 5", "[-1]"]),
        (altered(concat=()), ["reduce", "concat", "0 to 5", "[]"]),
        (altered(nodes=()), ["reduce", "at least one node"]),
        (altered(nodes=((), *GOOD["reduce"].nodes[1:])), ["reduce", "node 0", "no incoming edge"]),
        (Genotype("darts", (("normal", GOOD["normal"]),)), ["'normal' and 'reduce'", "got normal"]),
        (Genotype("darts", ()), ["'normal' and 'reduce'", "got none"]),
        (Genotype("darts", (*GOOD.cells, ("third", GOOD["normal"]))), ["'normal' and 'reduce'", "third"]),
        (Genotype("darts", (*GOOD.cells, GOOD.cells[0])), ["'normal' and 'reduce'", "normal, reduce, normal"]),
    ],
)
def test_genotypes(genotype: Genotype, words: list[str]) -> None:
    space = darts.space(classes=10)
    for use in (
        lambda: darts.check_genotype(genotype),
        lambda: darts.build(genotype, classes=10),
        lambda: space.build(genotype, searched=True),
        lambda: space.inherit(genotype, Variables({}, {})),
    ):
        with pytest.raises(UserError) as error:
            use()
        assert all(word in sentence(error) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("genotype", "words"),
    [
        (darts.published()["NASNet"], ["normal", "4 nodes", "got 5"]),
        (altered(concat=(3, 4, 5)), ["reduce", "[2, 3, 4, 5]", "got [3, 4, 5]"]),
        (with_edge("sep_conv_7x7", 0), ["reduce", "sep_conv_7x7<-0"]),
        (with_edge("none", 0), ["reduce", "none<-0"]),
    ],
)
def test_inheriting_what_the_supernet_does_not_have(genotype: Genotype, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        darts.space(classes=10, ops=darts.OPS[1:]).inherit(genotype, Variables({}, {}))
    assert all(word in sentence(error) for word in words), str(error.value)


def test_a_valid_genotype_passes() -> None:
    darts.check_genotype(GOOD)
    cell = Cell(nodes=((Edge("skip_connect", 1),),), concat=(0, 2, 2))
    darts.check_genotype(Genotype("darts", (("reduce", cell), ("normal", cell))))
