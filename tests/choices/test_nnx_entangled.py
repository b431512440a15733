"""Entangled layers of NNX: what follows a chosen width is found in the traced program, and cut or held at zero."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

import dnas
from dnas.choices import Conv as LinenConv
from dnas.choices import Dense as LinenDense
from dnas.choices import verify
from dnas.choices.context import deciding
from dnas.choices.derived import genotype_of
from dnas.choices.nnx import Choice, Conv, InputChoice, Linear, Repeat
from dnas.selection import one_hot
from dnas.types import Array, Batch, Batches, Paths, SearchSpace, Variables

X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5, 6, 3)), jnp.float32)
WIDE = 6
WINDOWS = ((1, 1), (3, 3))


Made = Callable[[nnx.Rngs], tuple[dict[str, Any], Callable[..., Any]]]


def wide(rngs: nnx.Rngs, channels: int = 3, **settings: Any) -> Conv:
    return Conv(channels, (2, 4, WIDE), (3, 3), rngs=rngs, **settings)


def norm(rngs: nnx.Rngs, **settings: Any) -> nnx.BatchNorm:
    return nnx.BatchNorm(WIDE, momentum=0.8, rngs=rngs, **settings)


def expansion(rngs: nnx.Rngs) -> Any:
    layers = {"up": Linear(3, (4, 5, WIDE), rngs=rngs), "down": nnx.Linear(WIDE, 3, rngs=rngs)}
    return layers, lambda own, x: x + own.down(nnx.gelu(own.up(x)))


def convolutions(rngs: nnx.Rngs) -> Any:
    layers = {
        "first": Conv(3, (2, WIDE), WINDOWS, rngs=rngs, decision="first"),
        "norm": norm(rngs),
        "second": nnx.Conv(WIDE, 3, (3, 3), rngs=rngs),
    }
    return layers, lambda own, x: own.second(nnx.relu(own.norm(own.first(x))))


def added(rngs: nnx.Rngs) -> Any:
    layers = {"a": wide(rngs, decision="w"), "b": wide(rngs, decision="w"), "na": norm(rngs), "nb": norm(rngs)}
    return layers, lambda own, x: nnx.relu(own.na(own.a(x))) + own.nb(own.b(x))


def shortcut(rngs: nnx.Rngs) -> Any:
    layers = {"a": wide(rngs), "b": nnx.Conv(3, WIDE, (1, 1), rngs=rngs)}
    return layers, lambda own, x: nnx.relu(own.a(x) + own.b(x))


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.up = Linear(3, (2, 4), decision="width", rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.down = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return x + self.down(nnx.silu(self.norm(self.up(x))))


def nested(rngs: nnx.Rngs) -> Any:
    inside = nnx.Sequential(wide(rngs), norm(rngs), nnx.Conv(WIDE, 3, (1, 1), rngs=rngs))
    layers = {
        "choice": Choice({"skip": lambda x: x, "wide": inside}),
        "join": InputChoice(),
        "body": Repeat(Block, times=(1, 2), rngs=rngs),
    }
    return layers, lambda own, x: own.join([own.choice(x), own.body(x)])


def without_scale(rngs: nnx.Rngs) -> Any:
    layers = {"a": wide(rngs), "norm": norm(rngs, use_scale=False, use_bias=False)}
    return layers, lambda own, x: nnx.relu(own.norm(own.a(x)))


def twice(rngs: nnx.Rngs) -> Any:
    layers = {"a": wide(rngs), "b": Conv(WIDE, (3, 5), WINDOWS, strides=2, rngs=rngs), "c": nnx.Linear(5, 3, rngs=rngs)}
    return layers, lambda own, x: own.c(nnx.max_pool(own.b(own.a(x)), (2, 2), (1, 1)))


def pooled(rngs: nnx.Rngs) -> Any:
    # Transposed, joined along another axis, and flattened where nothing but channels is left.
    def run(own: Any, x: Array) -> Array:
        y = jnp.concatenate([own.a(x), own.a(-x)], 1).transpose(0, 3, 1, 2)
        return y.mean((2, 3), keepdims=True).reshape(4, -1)

    return {"a": wide(rngs)}, run


def lifted(function: Callable[[Array], Array], between: Callable[[nnx.Rngs], Any] = lambda _: nnx.relu) -> Made:
    """Return a model in which a function makes something of channels that are zero."""

    def make(rngs: nnx.Rngs) -> Any:
        layers = {"a": wide(rngs), "between": between(rngs), "b": nnx.Conv(WIDE, 3, (1, 1), rngs=rngs)}
        return layers, lambda own, x: own.b(own.between(function(own.a(x))))

    return make


def looped(rngs: nnx.Rngs) -> Any:
    """Turn over layers that share their weights, under a loop and rematerialised."""
    layers = {"up": Linear(3, (2, 4), decision="w", rngs=rngs), "down": nnx.Linear(4, 3, rngs=rngs)}

    def run(own: Any, x: Array) -> Array:
        turn = jax.checkpoint(lambda x: nnx.tanh(own.down(nnx.relu(own.up(x)))))
        return lax.scan(lambda x, _: (turn(x), None), x, None, length=2)[0]

    return layers, run


class Mixing(nnx.Module):
    """A transformer's MLP, whose expansion is a choice."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm = nnx.LayerNorm(3, rngs=rngs)
        self.up = Linear(3, (2, 4), decision="expansion", rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.down = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return x + self.down(self.drop(nnx.gelu(self.up(self.norm(x)))))


def stacked(rngs: nnx.Rngs) -> Any:
    """Turn over layers of their own weights, which are stacked."""
    layers = nnx.split_rngs(splits=2)(nnx.vmap(Mixing, in_axes=(0,), out_axes=0))(rngs)
    turn = nnx.scan(lambda layer, x: layer(x), in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
    return {"stack": layers}, lambda own, x: turn(own.stack, x)


MODELS: dict[str, tuple[Made, int]] = {
    "expansion": (expansion, 3),
    "convolutions": (convolutions, 3),
    "added": (added, WIDE),
    "shortcut of fixed width": (shortcut, WIDE),
    "in other choices": (nested, 3),
    "norm without scale": (without_scale, WIDE),
    "two widths": (twice, 3),
    "pooled": (pooled, WIDE),
    "cosine": (lifted(jnp.cos), 3),
    "softplus and a norm": (lifted(lambda x: nnx.softplus(x) + 1, norm), 3),
    "in a loop": (looped, 3),
    "stacked": (stacked, 3),
}
"""Models that a width may be part of, and the channels that they end with."""


@pytest.mark.parametrize("name", MODELS)
def test_derived_networks_equal_the_supernet(name: str, hold: Any, nnx_space: Any) -> None:
    space = nnx_space(*MODELS[name], X)
    held = hold(space, X)
    first = {decision: group.ops[0] for decision, group in space.spec.items()}
    last = {decision: group.ops[-1] for decision, group in space.spec.items()}
    options = [{**first, decision: op} for decision, group in space.spec.items() for op in group.ops[1:]]
    tried = [first, last, *(options if len(space.spec) < 3 else [])]
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(held.derive(**own).variables.params)) for own in tried]
    assert sizes[0] < max(sizes)


@pytest.mark.parametrize(
    "name", ["convolutions", "added", "in other choices", "norm without scale", "softplus and a norm"]
)
def test_they_are_equal_in_training_and_so_are_their_statistics(name: str, hold: Any, nnx_space: Any) -> None:
    space = nnx_space(*MODELS[name], X)
    variables = hold(space, X).variables
    options = {decision: group.ops[0] for decision, group in space.spec.items()}
    if name == "in other choices":
        options["layers.choice"] = "wide"
    genotype = genotype_of(space.name, options)
    weights, network = one_hot(space.spec, genotype), space.build(genotype)
    outputs, stats = jax.jit(lambda v: space.apply(v, weights, X, train=True))(variables)
    inherited = space.inherit(genotype, variables)
    own, after = jax.jit(lambda v: network.apply(v, X, train=True))(inherited)
    np.testing.assert_allclose(outputs, own.logits, rtol=1e-4, atol=1e-5)
    kept = space.inherit(genotype, Variables(variables.params, stats)).stats
    assert jax.tree.leaves(after)
    for a, b, before in zip(*map(jax.tree.leaves, (after, kept, inherited.stats)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        assert not np.allclose(a, before)


def test_statistics_of_channels_that_are_left_out_rest(hold: Any, nnx_space: Any) -> None:
    space = nnx_space(convolutions, 3, X)
    variables = hold(space, X).variables
    weights = {"first.features": jnp.array([[1.0, 0]]), "first.kernel_size": jnp.array([[0.5, 0.5]])}
    stats = jax.jit(lambda v: space.apply(v, weights, X, train=True)[1])(variables)
    for name, leaf in stats["layers"]["norm"].items():
        before = variables.stats["layers"]["norm"][name]
        np.testing.assert_array_equal(leaf[2:], before[2:])
        assert not np.isclose(leaf[:2], before[:2]).any()


def test_a_mixture_is_the_weighted_sum_of_the_separate_outputs(hold: Any, nnx_space: Any) -> None:
    # Without a function between, the following layer sees the sum of the options, each padded with zeros.
    def make(rngs: nnx.Rngs) -> Any:
        return {"a": Conv(3, (2, 4, WIDE), WINDOWS, rngs=rngs, decision="a")}, lambda own, x: own.a(x)

    space = nnx_space(make, WIDE, X)
    held = hold(space, X)
    widths, sides = np.array([0.2, 0.7, 0.4], np.float32), np.array([0.3, 0.9], np.float32)
    kernel, bias = (held.variables.params["layers"]["a"][name] for name in ("kernel", "bias"))
    end = held.variables.params["end"]

    def alone(side: int, width: int) -> Array:
        edge = (3 - side) // 2
        own: Any = nn.Conv(width, (side, side)).apply(
            {"params": {"kernel": kernel[edge : edge + side, edge : edge + side, :, :width], "bias": bias[:width]}}, X
        )
        return jnp.pad(own, ((0, 0), (0, 0), (0, 0), (0, WIDE - width)))

    mixed = sum(
        a * b * alone(side, width)
        for side, b in zip((1, 3), sides, strict=True)
        for width, a in zip((2, 4, WIDE), widths, strict=True)
    )
    found = held.mix(**{"a.features": widths, "a.kernel_size": sides})
    np.testing.assert_allclose(found, mixed @ end["kernel"] + end["bias"], rtol=1e-4, atol=1e-4)


def test_a_norm_does_not_divide_out_what_a_width_weighs(hold: Any, nnx_space: Any) -> None:
    for make in (without_scale, lambda rngs: ({"a": wide(rngs), "n": norm(rngs)}, lambda own, x: own.n(own.a(x)))):
        space = nnx_space(make, WIDE, X)
        variables = hold(space, X).variables
        variables.params["end"]["bias"] *= 0

        def total(weights: Array, space: SearchSpace = space, variables: Variables = variables) -> Array:
            [name] = space.spec
            return space.apply(variables, {name: weights[None]}, X, train=True)[0][0, 0].sum()

        weights = jnp.full(3, 1 / 3)
        value, gradient = jax.jit(jax.value_and_grad(total))(weights)
        # Linear in the weights from there on, up to the norm's epsilon.
        np.testing.assert_allclose((weights * gradient).sum(), value, rtol=1e-2)
        assert float(jnp.abs(gradient).min()) > 1e-3


WEIGHTS = {"features": (0.2, 0.5), "kernel_size": (0.4, 0.9), "w": (0.3, 0.6)}


def test_the_layers_are_those_of_linen() -> None:
    weights = {name: jnp.array(own) for name, own in WEIGHTS.items()}
    settings: dict[str, Any] = dict(strides=(2, 1), padding=2, kernel_dilation=(1, 2), decision="w")
    pairs = [
        (Conv(3, (2, 5), WINDOWS, rngs=nnx.Rngs(0), **settings), LinenConv((2, 5), WINDOWS, **settings)),
        (Linear(3, (2, 5), decision="w", rngs=nnx.Rngs(0)), LinenDense((2, 5), decision="w")),
    ]
    for layer, linen in pairs:
        assert isinstance(layer, Conv | Linear)
        assert layer.bias is not None
        layer.bias[...] += 1.0
        params = {"kernel": layer.kernel[...], "bias": layer.bias[...]}
        with deciding(lambda decision: weights[decision.name.rpartition(".")[2]]):
            np.testing.assert_array_equal(layer(X), linen.apply({"params": params}, X))
    # They begin as NNX's own do.
    own = nnx.Linear(3, 5, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(own.kernel[...], Linear(3, (2, 5), rngs=nnx.Rngs(0)).kernel[...])


def test_by_itself_a_layer_has_its_largest_width_and_first_window() -> None:
    layer = Conv(3, (2, 5), WINDOWS, rngs=nnx.Rngs(0))
    plain = nnx.Conv(3, 5, (1, 1), rngs=nnx.Rngs(0))
    plain.kernel[...] = layer.kernel[1:2, 1:2]
    np.testing.assert_allclose(layer(X), plain(X), rtol=1e-5, atol=1e-6)
    assert Linear(3, (5, 2), rngs=nnx.Rngs(0))(X).shape == (4, 5, 6, 5)


def test_parameters_and_program_of_derived_networks_in_closed_form(hold: Any, lowered: Any, nnx_space: Any) -> None:
    held = hold(nnx_space(convolutions, 3, X), X)
    for width in (2, WIDE):
        for side in (1, 3):
            own = held.derive(**{"first.features": str(width), "first.kernel_size": f"{side}x{side}"})
            workload = own.network.workload(X.shape[1:])
            second = 9 * width * 3
            assert workload.params == side * side * 3 * width + 3 * width + second + 3 + 3 * 2 + 2
            assert workload.macs == 5 * 6 * (side * side * 3 * width + second + 3 * 2)
            text = lowered(own, X)
            assert text.count("stablehlo.convolution") == 2
            assert (f"x{WIDE}xf32" in text) == (width == WIDE)
            fresh = own.network.init(jax.random.key(0), X)
            assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, own.variables)


def test_a_supernet_costs_one_convolution_of_the_largest_size(hold: Any, nnx_space: Any) -> None:
    space = nnx_space(convolutions, 3, X)
    weights = {name: jnp.ones((1, len(group.ops))) for name, group in space.spec.items()}
    variables = jax.eval_shape(space.init, jax.random.key(0), X)
    text = jax.jit(lambda v, x: space.apply(v, weights, x, train=False)).lower(variables, X).as_text()
    assert text.count("stablehlo.convolution") == 2


def test_sampled_widths_are_learned_of_those_that_are_left_out(hold: Any, nnx_space: Any) -> None:
    # The relaxation's weights are one-hot, their derivative is not: of a wider option it says what it would add.
    space = nnx_space(expansion, 3, X)
    held = hold(space, X)

    def total(weights: Array, sampled: bool) -> Array:
        mixture = Paths(weights[None], jnp.array([[0]])) if sampled else weights[None]
        return jnp.square(space.apply(held.variables, {"layers.up": mixture}, X, train=True)[0]).sum()

    weights = jnp.array([1.0, 0, 0])
    dense, sampled = (jax.jit(jax.grad(total), static_argnums=1)(weights, sampled) for sampled in (False, True))
    assert len(set(np.asarray(dense).round(4).tolist())) == 3
    assert float(jnp.abs(sampled[0])) > 1e-3


def test_a_search_step_and_the_check_by_numbers(hold: Any, nnx_space: Any) -> None:
    space = nnx_space(lambda rngs: ({"block": Block(rngs)}, lambda own, x: own.block(x).mean((1, 2))), 3, X)
    assert verify(space, X, networks=1) < 1e-4
    search = dnas.gdas(space, epochs=1, steps_per_epoch=4)
    state = search.init(jax.random.key(0), X)
    batch = Batch(X, jnp.arange(4) % 2)
    after, info = jax.jit(search.step)(state, Batches(batch, batch))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((after.params, info)))
    assert not np.array_equal(state.alpha["width"], after.alpha["width"])
