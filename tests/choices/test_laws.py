"""Layers with open choices: the network that is left when they are made is the supernet that computes them alone."""

# A layer is made where it is called, since Flax binds it to the model there.
# ruff: noqa: PLW0108

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import Choice, InputChoice, Repeat, space
from dnas.choices import Conv
from dnas.choices.derived import genotype_of
from dnas.types import Array

X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5, 4)), jnp.float32)
DENSE = 4 * 4 + 4
"""Parameters of a dense layer from four channels to four."""


def options(decision: str | None = None) -> Choice:
    # In neither alphabetical order nor its reverse.
    made = {"two": nn.Sequential([nn.Dense(2), nn.Dense(4)]), "one": nn.Dense(4), "skip": lambda x: x}
    return Choice(made, decision=decision)


class Inline(nn.Module):
    @nn.compact
    def __call__(self, x: Array, _: Any = None) -> Array:
        return options("shared")(x)


class Setup(nn.Module):
    def setup(self) -> None:
        self.first = options()
        self.many = [options("shared") for _ in range(2)]
        self.pick = InputChoice(k=2, names=("a", "b", "c"))

    def __call__(self, x: Array) -> Array:
        y = self.first(x)
        return self.pick([x, self.many[0](y), self.many[1](y)])


class Block(nn.Module):
    @nn.compact
    def __call__(self, x: Array) -> Array:
        return x + Choice([nn.tanh, nn.relu])(nn.Dense(4)(x))


def scanned(x: Array) -> Array:
    return nn.scan(
        lambda layer, x, _: (layer(x), None), variable_axes={"params": 0}, split_rngs={"params": True}, length=3
    )(Inline(name="layers"), x, None)[0]


def mapped(x: Array) -> Array:
    both = nn.vmap(Inline, in_axes=None, axis_size=2, variable_axes={"params": 0}, split_rngs={"params": True})
    return both()(x).sum(0)


MODELS: dict[str, Callable[[Array], Array]] = {
    "inline": lambda x: options()(x),
    "set up": lambda x: Setup()(x),
    "nested": lambda x: Choice({"b": Inline(), "a": nn.Sequential([options(), Repeat(Block(), (0, 2))])})(x),
    "in a loop": scanned,
    "computed again": lambda x: nn.remat(Inline)()(x),
    "mapped": mapped,
    "repeated": lambda x: Repeat(Block(), times=(1, 2, 4))(x),
    "repeated and shared": lambda x: Repeat(Inline(), times=(0, 1, 3))(x),
    "inputs": lambda x: InputChoice(k=2)([x, nn.Dense(4)(x), nn.tanh(x), options()(x)]),
    "pytrees": lambda x: sum(Choice({"swap": lambda x, y: (y, x), "keep": lambda x, y: (x, nn.tanh(y))})(x, 2 * x)),
    "a function that makes layers": lambda x: Choice([nn.Dense(4), nn.gelu, nn.Dense(4)])(x),
}


@pytest.mark.parametrize("name", MODELS)
def test_derived_networks_equal_the_supernet(name: str, net: Any, hold: Any) -> None:
    held = hold(space(net(lambda x, _: nn.Dense(2)(MODELS[name](x))), X), X)
    held.some(3)


def test_parameters_that_are_left_in_closed_form(net: Any, hold: Any) -> None:
    def run(x: Array, _: bool) -> Array:
        return Repeat(Inline(), times=(1, 3), decision="depth")(options("first")(x))

    held = hold(space(net(run), X), X)
    sizes = {"two": 4 * 2 + 2 + 2 * 4 + 4, "one": DENSE, "skip": 0}
    assert sum(leaf.size for leaf in jax.tree.leaves(held.variables.params)) == 4 * sum(sizes.values())
    for first, shared, depth in (("two", "one", 3), ("one", "two", 1), ("skip", "skip", 3), ("skip", "one", 1)):
        own = held.derive(first=first, shared=shared, depth=str(depth))
        assert own.network.workload((5, 4)).params == sizes[first] + depth * sizes[shared]


def test_the_program_has_as_many_products_as_are_kept(net: Any, hold: Any, lowered: Any) -> None:
    def run(x: Array, _: bool) -> Array:
        return Repeat(Inline(), times=(1, 3), decision="depth")(x)

    held = hold(space(net(run), X), X)
    for shared, depth, products in (("two", 1, 2), ("one", 3, 3), ("skip", 3, 0)):
        own = held.derive(shared=shared, depth=str(depth))
        assert lowered(own, X).count("stablehlo.dot_general") == products


def test_inputs_that_are_not_kept_are_gone_from_the_compiled_program(net: Any, hold: Any, lowered: Any) -> None:
    def run(x: Array, _: bool) -> Array:
        inputs = [nn.Dense(width, name=f"in{width}")(x) for width in (5, 6, 7)]
        return InputChoice(names=("five", "six", "seven"), decision="which")([nn.Dense(2)(each) for each in inputs])

    held = hold(space(net(run), X), X)
    for name, width in (("five", 5), ("seven", 7)):
        own = held.derive(which=name)
        assert set(own.variables.params) == {f"in{width}", f"Dense_{width - 5}"}
        assert own.network.workload((5, 4)).params == 4 * width + width + 2 * width + 2
        assert own.network.workload((5, 4)).macs == 5 * (4 * width + 2 * width)
        run_it = jax.jit(lambda v, x, own=own: own.network.apply(v, x, train=False)[0])
        compiled = run_it.lower(own.variables, X).compile().as_text()
        assert compiled.count(" dot(") == 2
        assert not any(f",{other}]" in compiled for other in {5, 6, 7} - {width})


def test_rejected_convolutions_are_not_in_the_lowered_program(net: Any, hold: Any, lowered: Any) -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 6, 3)), jnp.float32)
    sides = (1, 3, 5)

    def run(x: Array, _: bool) -> Array:
        x = Choice({f"c{side}": nn.Conv(3, (side, side)) for side in sides}, decision="op")(x)
        return Conv(3, tuple((side, side) for side in sides), decision="op2")(x)

    held = hold(space(net(run), x), x)
    for first, second in ((1, 5), (3, 3), (5, 1)):
        text = lowered(held.derive(op=f"c{first}", op2=f"{second}x{second}"), x)
        assert text.count("stablehlo.convolution") == 2
        found = {side for side in (1, 2, 3, 4, 5) if f"tensor<{side}x{side}x3x3x" in text}
        assert found == {first, second}


def test_a_mixture_is_the_weighted_sum_of_the_options(net: Any, hold: Any) -> None:
    held = hold(space(net(lambda x, _: options("op")(x)), X), X)
    weights = np.array([0.2, 0.5, 0.9], np.float32)
    separate = [held.derive(op=name).outputs for name in ("two", "one", "skip")]
    expected = sum(weight * own for weight, own in zip(weights, separate, strict=True))
    np.testing.assert_allclose(held.mix(op=weights), expected, rtol=1e-5, atol=1e-5)


def test_k_inputs_are_summed(net: Any, hold: Any) -> None:
    held = hold(space(net(lambda x, _: InputChoice(k=2, decision="i")([x, 2 * x, 4 * x])), X), X)
    assert held.space.spec["i"].ops == ("0+1", "0+2", "1+2")
    for name, factor in (("0+1", 3), ("0+2", 5), ("1+2", 6)):
        np.testing.assert_allclose(held.derive(i=name).outputs, factor * X, rtol=1e-6)
    np.testing.assert_allclose(held.mix(i=np.array([0.1, 0.2, 0.4], np.float32)), (0.3 + 1 + 2.4) * X, rtol=1e-6)


def test_depths_are_those_of_one_stack(net: Any, hold: Any) -> None:
    held = hold(space(net(lambda x, _: Repeat(Double(), times=(0, 1, 3), decision="d")(x)), X), X)
    for times, factor in (("0", 1), ("1", 2), ("3", 8)):
        np.testing.assert_allclose(held.derive(d=times).outputs, factor * X, rtol=1e-6)
    np.testing.assert_allclose(held.mix(d=np.array([0.1, 0.2, 0.4], np.float32)), (0.1 + 0.4 + 3.2) * X, rtol=1e-6)


class Double(nn.Module):
    @nn.compact
    def __call__(self, x: Array) -> Array:
        return 2 * x


def test_decisions_are_named_after_places_and_options_keep_their_order(net: Any) -> None:
    def run(x: Array, _: bool) -> Array:
        x = options()(x)
        x = Choice([nn.tanh, nn.Dense(4), nn.Dense(4)], name="list")(x)
        return Inline()(Inline()(x))

    found = space(net(run), X, name="mine")
    assert found.name == "mine"
    assert {name: group.ops for name, group in found.spec.items()} == {
        "Choice_0": ("two", "one", "skip"),
        "list": ("tanh", "Dense_0", "Dense_1"),
        "shared": ("two", "one", "skip"),
    }


def test_by_itself_the_model_is_that_of_its_first_options(net: Any) -> None:
    module = net(lambda x, _: Repeat(Block(), (2, 3))(options()(x)))
    variables = module.init(jax.random.key(0), X)
    own = space(module, X)
    genotype = genotype_of(own.name, {name: group.ops[0] for name, group in own.spec.items()})
    network = own.build(genotype)
    again = network.init(jax.random.key(0), X)
    assert jax.tree.structure(again.params) == jax.tree.structure(variables["params"])
    np.testing.assert_array_equal(
        module.apply(variables, X), network.apply(again._replace(params=variables["params"]), X, train=False)[0].logits
    )


def test_one_decision_that_is_shared_has_one_gradient(net: Any, hold: Any) -> None:
    held = hold(space(net(lambda x, _: Inline()(Inline()(x))), X), X)
    assert list(held.space.spec) == ["shared"]
    gradient = jax.grad(lambda w: (held.mix(shared=w) ** 2).sum())(jnp.array([0.2, 0.3, 0.5]))
    assert np.all(np.abs(gradient) > 1e-3)
