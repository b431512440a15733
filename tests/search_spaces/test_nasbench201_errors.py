"""Bad input to the NAS-Bench-201 space: one sentence that says what was got and what was expected."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.types import Variables
from search_spaces import nasbench201 as nb
from search_spaces.darts import published as published_darts

GOOD = nb.from_index(6111)
NODES = GOOD["cell"].nodes


def sentence(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


def architecture(*nodes: tuple[Edge, ...], concat: tuple[int, ...] = (3,), name: str = "cell") -> Genotype:
    return Genotype("nasbench201", ((name, Cell(nodes, concat)),))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["''", "expected 3 nodes", "|nor_conv_3x3~0|"]),
        ("  \n", ["expected 3 nodes"]),
        ("|none~0|", ["'|none~0|'", "expected 3 nodes"]),
        ("|none~0|+|none~0|none~1|", ["expected 3 nodes"]),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+|none~0|none~1|none~2|none~3|", ["expected 3 nodes"]),
        ("none~0+none~0|none~1+none~0|none~1|none~2", ["expected 3 nodes"]),
        ("|none|+|none|none|+|none|none|none|", ["expected 3 nodes"]),
        ("|none~0|+||+|none~0|none~1|none~2|", ["expected 3 nodes"]),
        ("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", ["node 2", "states 0, 1 in this order", "got 1, 0"]),
        ("|none~0|+|none~0|none~1|+|none~0|none~2|none~1|", ["node 3", "states 0, 1, 2 in", "got 0, 2, 1"]),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", ["node 2", "got 0, 0"]),
        ("|none~1|+|none~0|none~1|+|none~0|none~1|none~2|", ["node 1", "states 0 in", "got 1"]),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", ["node 2", "got 0"]),
        ("|none~0|+|none~0|none~1|none~2|+|none~0|none~1|none~2|", ["node 2", "got 0, 1, 2"]),
        (
            "|nor_conv_3x3~0|+|nor_conv3x3~0|none~1|+|none~0|none~1|none~2|",
            ["unknown operation 'nor_conv3x3'", "did you mean 'nor_conv_3x3'", "avg_pool_3x3"],
        ),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|max_pool_3x3~2|", ["'max_pool_3x3'", "mean 'avg_pool_3x3'"]),
        ("|~0|+|none~0|none~1|+|none~0|none~1|none~2|", ["unknown operation ''"]),
        ("|none~00|+|none~0|none~1|+|none~0|none~1|none~2|", ["node 1", "states 0 in", "got 00"]),
        ("none " * 1000, ["none none", "...", "expected 3 nodes"]),
        ("|none~" + "1" * 5000 + "|+|none~0|none~1|+|none~0|none~1|none~2|", ["expected 3 nodes"]),
        ("|none~\u0660|+|none~0|none~1|+|none~0|none~1|none~2|", ["expected 3 nodes"]),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_texts(text: str, words: list[str]) -> None:
    for read in (nb.from_string, nb.named):
        with pytest.raises(UserError) as error:
            read(text)
        assert all(word in sentence(error) for word in words), str(error.value)


@pytest.mark.parametrize("number", [-1, 15_625, 10**30])
def test_numbers_outside_the_space(number: int) -> None:
    with pytest.raises(UserError) as error:
        nb.from_index(number)
    assert all(word in sentence(error) for word in (str(number), "from 0 to 15624"))


@pytest.mark.parametrize("name", ["15625", "999999999", "-1", "1e3", "6111.0", "DARTS_V2", "1" * 5000])
def test_names_that_are_neither_text_nor_number(name: str) -> None:
    with pytest.raises(UserError) as error:
        nb.named(name)
    assert sentence(error).startswith("architecture ")


@pytest.mark.parametrize(
    ("genotype", "words"),
    [
        (published_darts()["DARTS_V2"], ["expected the cell 'cell'", "got normal, reduce"]),
        (Genotype("nasbench201", ()), ["expected the cell 'cell'", "got none"]),
        (architecture(*NODES, name="normal"), ["expected the cell 'cell'", "got normal"]),
        (architecture(*NODES[:2]), ["3 nodes", "'concat' [3]", "got 2 and [3]"]),
        (architecture(*NODES, concat=(2, 3)), ["3 nodes", "got 3 and [2, 3]"]),
        (architecture(*NODES, concat=()), ["3 nodes", "got 3 and []"]),
        (architecture(NODES[0], NODES[1][:1], NODES[2]), ["node 2", "states [0, 1]", "got [0]"]),
        (architecture((), *NODES[1:]), ["node 1", "states [0]", "got []"]),
        (architecture(NODES[0], (NODES[1][0],) * 2, NODES[2]), ["node 2", "states [0, 1]", "got [0, 0]"]),
        (architecture((Edge("none", 1),), *NODES[1:]), ["node 1", "states [0]", "got [1]"]),
        (architecture((Edge("none", -1),), *NODES[1:]), ["node 1", "got [-1]"]),
        (architecture((Edge("sep_conv_3x3", 0),), *NODES[1:]), ["node 1", "'sep_conv_3x3'", "'nor_conv_3x3'"]),
    ],
)
def test_genotypes(genotype: Genotype, words: list[str]) -> None:
    space = nb.space(classes=10)
    for use in (
        lambda: nb.check_genotype(genotype),
        lambda: nb.build(genotype, classes=10),
        lambda: space.build(genotype, searched=True),
        lambda: space.inherit(genotype, Variables({}, {})),
        lambda: nb.to_string(genotype),
        lambda: nb.index(genotype),
        lambda: nb.connected(genotype),
        lambda: nb.canonical(genotype),
    ):
        with pytest.raises(UserError) as error:
            use()
        assert all(word in sentence(error) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cells": 0}, ["cells", "at least 1", "got 0"]),
        ({"channels": -4}, ["channels", "at least 1", "got -4"]),
        ({"classes": 1}, ["classes", "at least 2", "got 1"]),
        ({"dtype": "float16"}, ["'float16'", "bfloat16", "float32"]),
    ],
)
def test_settings_of_the_space_and_of_the_derived_network(settings: dict[str, Any], words: list[str]) -> None:
    for make in (nb.space, lambda **own: nb.build(GOOD, **own)):
        with pytest.raises(UserError) as error:
            make(**{"classes": 10, **settings})
        assert all(word in sentence(error) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("ops", "words"),
    [
        (("skip_conect", "none"), ["'skip_conect'", "did you mean 'skip_connect'"]),
        (("max_pool_3x3",), ["'max_pool_3x3'", "did you mean 'avg_pool_3x3'"]),
        (("none", "skip_connect", "none"), ["different operations", "none, skip_connect, none"]),
        (("none",), ["beside 'none'", "got none"]),
        ((), ["at least one operation", "got nothing"]),
    ],
)
def test_operations_of_the_space(ops: tuple[str, ...], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        nb.space(classes=10, ops=ops)
    assert all(word in sentence(error) for word in words), str(error.value)


@pytest.mark.parametrize("shape", [(30, 30, 3), (32, 30, 3), (2, 2, 1), (31, 32, 1), (0, 0, 3), (6, 8, 1)])
def test_images_that_the_residual_blocks_cannot_halve_twice(shape: tuple[int, int, int]) -> None:
    for check in (
        lambda: nb.space(classes=10).check(shape),
        lambda: nb.check_shape(shape),
        lambda: jax.eval_shape(nb.build(GOOD, classes=10).init, jax.random.key(0), jnp.zeros((1, *shape))),
    ):
        with pytest.raises(UserError) as error:
            check()
        assert f"{shape[0]}x{shape[1]}" in sentence(error)
        assert "multiples of 4" in sentence(error)


def test_inheriting_an_operation_that_the_supernet_does_not_have() -> None:
    space = nb.space(classes=10, ops=("none", "skip_connect", "nor_conv_1x1"))
    with pytest.raises(UserError) as error:
        space.inherit(GOOD, Variables({}, {}))
    assert all(word in sentence(error) for word in ("'nor_conv_3x3'", "did you mean 'nor_conv_1x1'", "skip_connect"))


def test_drop_path_is_refused() -> None:
    network = nb.build(GOOD, classes=3, channels=2, cells=1)
    x = jnp.zeros((1, 4, 4, 1))
    variables = jax.eval_shape(network.init, jax.random.key(0), x)

    def run(rate: Any) -> Any:
        return jax.eval_shape(lambda v: network.apply(v, x, train=True, drop_path=rate), variables)

    assert run(0.0)[0].logits.shape == run(0)[0].logits.shape == (1, 3)
    for rate in (0.2, 1, jnp.float32(0.1)):
        with pytest.raises(UserError) as error:
            run(rate)
        assert "retrain.drop_path=0" in sentence(error)


def test_valid_genotypes_pass_whatever_the_order_of_edges() -> None:
    nb.check_genotype(GOOD)
    nb.check_genotype(architecture(*(node[::-1] for node in NODES)))
