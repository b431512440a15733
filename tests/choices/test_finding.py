"""Decisions are found by tracing, nothing is computed, and bad input is one sentence."""

# A layer is made where it is called, since Flax binds it to the model there.
# ruff: noqa: PLW0108

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import Choice, InputChoice, Repeat, UserError, space
from dnas.choices import Conv, Dense
from dnas.choices.derived import genotype_of
from dnas.types import Array

SHAPE = jax.ShapeDtypeStruct((2, 4), jnp.float32)


def choice(decision: str | None = None) -> Choice:
    return Choice({"a": nn.Dense(4), "b": lambda x: x}, decision=decision)


class Layer(nn.Module):
    decision: str | None = None

    @nn.compact
    def __call__(self, x: Array, _: Any = None) -> tuple[Array, None]:
        return choice(self.decision)(x), None


def scanned(layer: Callable[..., Any]) -> Callable[[Array], Array]:
    layers = nn.scan(layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=2)
    return lambda x: layers()(x, None)[0]


def test_nothing_is_computed(net: Any) -> None:
    ran = []

    def run(x: Array, _: bool) -> Array:
        assert isinstance(x, jax.core.Tracer)
        jax.debug.callback(lambda: ran.append(1))
        x = jax.pure_callback(lambda x: ran.append(1) or np.asarray(x), SHAPE, x)
        # More memory than any machine has, if it were ever made.
        x = x + jnp.zeros((1 << 20, 1 << 20, 2, 4)).sum((0, 1))
        return nn.Dense(2)(Dense((2, 4))(Repeat(choice(), (1, 2))(InputChoice()([x, choice()(x)]))))

    with jax.disable_jit(False):
        own = space(net(run), SHAPE)
    assert set(own.spec) == {"Choice_1", "InputChoice_0", "Repeat_0", "Dense_1"} | {
        f"Repeat_0.block_{index}" for index in range(2)
    }
    network = own.build(genotype_of(own.name, {name: group.ops[-1] for name, group in own.spec.items()}))
    assert network.workload((4,)).params > 0
    assert not ran


def test_an_example_may_be_arrays_shapes_or_a_tree_of_them() -> None:
    class Two(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Array:
            return choice("c")(x["a"]) + nn.Dense(4, name="own")(x["b"])

    for like in (jnp.zeros, np.zeros, lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32)):
        own = space(Two(), {"a": like((2, 4)), "b": like((2, 3))})
        variables = jax.eval_shape(own.init, jax.random.key(0), {"a": jnp.zeros((5, 4)), "b": jnp.zeros((5, 3))})
        assert variables.params["own"]["kernel"].shape == (3, 4)


class Draws(nn.Module):
    @nn.compact
    def __call__(self, x: Array) -> Array:
        return nn.Dropout(0.5, deterministic=False)(choice()(x))


class Updates(nn.Module):
    @nn.compact
    def __call__(self, x: Array) -> Array:
        return nn.BatchNorm(use_running_average=False)(choice()(x))


class Late(nn.Module):
    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        x = choice()(x)
        return Choice([nn.relu, nn.gelu], name="late")(x) if train else x


BAD = {
    "no choice": (lambda x: nn.Dense(3)(x), "the model has no open choice: put a dnas.Choice"),
    "two under one name": (
        lambda x: Choice([nn.relu, nn.gelu], decision="act")(choice("act")(x)),
        "two different choices are called 'act', one of a, b and one of relu, gelu",
    ),
    "two widths under one name": (
        lambda x: nn.Dense(2)(Dense((8, 16), decision="w")(Dense((4, 8), decision="w")(x))),
        "two different choices are called 'w', one of 4, 8 and one of 8, 16",
    ),
    "different shapes": (
        lambda x: Choice({"narrow": nn.Dense(3), "wide": nn.Dense(5)})(x),
        "choice 'Choice_0': option 'narrow' returns (2, 3), option 'wide' (2, 5)",
    ),
    "different trees": (
        lambda x: Choice({"one": nn.relu, "two": lambda x: (x, x)})(x),
        "option 'two' ((2, 4), (2, 4))",
    ),
    "inputs of different shapes": (lambda x: InputChoice()([x, nn.Dense(3)(x)]), "option '1' (2, 3)"),
    "depths that do not change the shape back": (lambda x: Repeat(nn.Dense(3), (0, 1))(x), "'0' returns (2, 4)"),
    "depths that do not grow": (lambda x: Repeat(nn.Dense(4), (2, 1))(x), "expected increasing numbers"),
    "a loop": (scanned(Layer), "is inside a loop (nn.scan or lax.scan), so that all turns decide alike"),
    "a width in a loop": (
        lambda x: scanned(Wide)(x),
        "Dense_1' is inside a loop",
    ),
    "compiled apart": (lambda x: nn.jit(Layer)("named")(x)[0], "'named' is inside a function that is compiled apart"),
    "one option": (lambda x: Choice([nn.relu])(x), "expected at least two options, got 1"),
    "a name that is no file's": (lambda x: choice("a/b")(x), "the decision's name is 'a/b'"),
    "all inputs": (lambda x: InputChoice(k=2)([x, x]), "k is 2, but there are 2 inputs"),
    "names of other inputs": (lambda x: InputChoice(names=("a",))([x, x]), "1 names for 2 inputs"),
    "too many sets": (lambda x: InputChoice(k=6)([x] * 12), "in 924 ways, more than 256"),
    "an input of wrong rank": (lambda x: nn.Dense(2)(Conv((2, 4), (3, 3))(x)), "the input has shape (2, 4)"),
}


class Wide(nn.Module):
    @nn.compact
    def __call__(self, x: Array, _: Any) -> tuple[Array, None]:
        return nn.Dense(4)(Dense((4, 8))(x)), None


@pytest.mark.parametrize("name", BAD)
def test_bad_models_are_one_sentence(name: str, net: Any) -> None:
    run, said = BAD[name]
    with pytest.raises(UserError) as raised:
        space(net(lambda x, _: run(x)), SHAPE)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Draws(), "draws at random when it is evaluated"),
        (Updates(), "changes its statistics when it is evaluated"),
        (Late(), "choice 'late' is met in training only"),
        (nn.relu, "returns an NNX module"),
    ],
)
def test_models_that_do_not_say_whether_they_train_are_refused(module: Any, said: str) -> None:
    with pytest.raises(UserError) as raised:
        space(module, SHAPE)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_example_of_wrong_shape_is_refused(net: Any) -> None:
    def run(x: Array, _: bool) -> Array:
        return choice()(x @ jnp.ones((4, 4)))

    with pytest.raises(UserError, match=r"cannot take the example input of shape \(2, 5\) \(.*\): give one as"):
        space(net(run), jnp.zeros((2, 5)))
    own = space(net(run), jnp.zeros((2, 4)))
    own.check((4,))
    with pytest.raises(UserError, match=r"inputs of shape \(5,\): the space was made with an example of shape \(4,\)"):
        own.check((5,))


def test_genotypes_of_other_spaces_are_refused(net: Any) -> None:
    own = space(net(lambda x, _: choice("c")(x)), SHAPE)
    with pytest.raises(UserError, match="the genotype decides d, but the model's choices are c"):
        own.build(genotype_of("Net", {"d": "a"}))
    with pytest.raises(UserError, match="unknown option of choice 'c' 'z'"):
        own.build(genotype_of("Net", {"c": "z"}))
