"""What follows a chosen width: where channels that are left out must stay zero, and what a derived network keeps."""

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
from dnas.choices import Conv, Dense, verify
from dnas.choices.derived import genotype_of
from dnas.choices.inherit import Cuts, kept
from dnas.types import Array

X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 6, 6, 8)), jnp.float32)


def wide(decision: str | None = None) -> Conv:
    return Conv((4, 8), (3, 3), decision=decision)


def norm(x: Array, train: bool) -> Array:
    return nn.BatchNorm(use_running_average=not train)(x)


def depthwise(x: Array) -> Array:
    return nn.Conv(x.shape[-1], (3, 3), feature_group_count=x.shape[-1])(x)


def windowed(x: Array) -> Array:
    return Conv(x.shape[-1], ((3, 3), (1, 5)), feature_group_count=x.shape[-1])(x)


def same(x: Array) -> Array:
    return nn.Dense(x.shape[-1])(x)


def attend(**settings: Any) -> Callable[[Array], Array]:
    return lambda x: nn.MultiHeadDotProductAttention(2, **settings)(x.reshape(3, -1, x.shape[-1]))


class Block(nn.Module):
    """A transformer's MLP, whose expansion is a choice."""

    @nn.compact
    def __call__(self, x: Array, _: Any = None) -> tuple[Array, None]:
        y = nn.gelu(Dense((8, 12, 16), decision="expansion")(nn.LayerNorm()(x)))
        return x + nn.Dense(8)(y), None


def scanned(axis: int) -> Callable[..., Array]:
    layers = nn.scan(nn.remat(Block), variable_axes={"params": axis}, split_rngs={"params": True}, length=3)
    return lambda x, _: layers(name="layers")(x, None)[0]


class Windowed(nn.Module):
    """A layer of a loop, which has windows to choose from, and a width inside."""

    @nn.compact
    def __call__(self, x: Array, _: Any) -> tuple[Array, None]:
        y = nn.BatchNorm(use_running_average=True)(Conv((4, 8), ((1, 1), (3, 3)), decision="both")(x))
        return Conv(8, ((1, 3), (3, 1)), decision="last")(nn.relu(y)), None


def windows(x: Array) -> Array:
    axes = {"params": 0, "batch_stats": 0}
    return nn.scan(Windowed, variable_axes=axes, split_rngs={"params": True}, length=2)()(x, None)[0]


FOLLOWING = {
    "batch norm": lambda x, t: nn.relu(norm(wide()(x), t)),
    "norm without scale": lambda x, t: nn.BatchNorm(use_running_average=not t, use_scale=False, use_bias=False)(
        wide()(x)
    ),
    "two norms": lambda x, t: norm(depthwise(norm(wide()(x), t)), t),
    "instance norm": lambda x, _: nn.relu(nn.InstanceNorm()(wide()(x))),
    "depthwise": lambda x, _: depthwise(wide()(x)),
    "depthwise with a choice": lambda x, _: windowed(wide()(x)),
    "as wide as before": lambda x, _: same(wide()(x)),
    "two widths": lambda x, t: Conv((3, 5, 7), ((1, 1), (3, 3)), decision="second")(nn.relu(norm(wide("first")(x), t))),
    "one width, joined": lambda x, t: nn.relu(norm(wide("w")(x), t)) + norm(wide("w")(x), t),
    "heads of fixed width": lambda x, _: attend(qkv_features=8)(wide()(x)),
    "in an option": lambda x, t: Choice(
        {"wide": nn.Sequential([wide(), nn.BatchNorm(use_running_average=True), nn.Conv(8, (1, 1))]), "id": lambda x: x}
    )(x),
    "one of two": lambda x, t: norm(InputChoice()([wide("w")(x), norm(wide("w")(x), t)]), t),
    "repeated": lambda x, t: Repeat(Grown(), times=(1, 2))(x),
    "windows in a loop": lambda x, _: windows(x),
    "expansion": lambda x, _: nn.Dense(4)(nn.gelu(Dense((8, 16, 24))(x))),
    "expansion in a loop": scanned(0),
    "expansion in a loop, stacked elsewhere": scanned(1),
}
"""Models that a width may be part of; a dense layer of fixed width follows."""


class Grown(nn.Module):
    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = nn.BatchNorm(use_running_average=True)(wide()(x))
        return x + nn.Dense(8)(y)


@pytest.mark.parametrize("name", FOLLOWING)
def test_derived_networks_equal_the_supernet(name: str, net: Any, hold: Any) -> None:
    held = hold(space(net(lambda x, train: nn.Dense(2)(FOLLOWING[name](x, train))), X), X)
    first = held.derive(**{decision: group.ops[0] for decision, group in held.space.spec.items()})
    whole = sum(leaf.size for leaf in jax.tree.leaves(held.variables.params))
    assert sum(leaf.size for leaf in jax.tree.leaves(first.variables.params)) < whole
    held.some(2)


def test_batch_norm_follows_in_training_as_well(net: Any) -> None:
    own = space(net(lambda x, t: nn.Dense(2)(nn.relu(norm(wide("w")(x), t)))), X)
    variables = own.init(jax.random.key(0), X)
    variables.params["BatchNorm_0"]["bias"] += 1.0
    whole, stats = own.apply(variables, {"w": jnp.array([[1.0, 0.0]])}, X, train=True)
    genotype = genotype_of(own.name, {"w": "4"})
    inherited = own.inherit(genotype, variables)
    alone, after = own.build(genotype).apply(inherited, X, train=True, key=None)
    np.testing.assert_allclose(alone.logits, whole, rtol=1e-4, atol=1e-5)
    running = stats["batch_stats"]["BatchNorm_0"]
    for name, leaf in after["batch_stats"]["BatchNorm_0"].items():
        np.testing.assert_allclose(leaf, running[name][:4], rtol=1e-5, atol=1e-6)
        assert not np.allclose(leaf, inherited.stats["batch_stats"]["BatchNorm_0"][name])


def test_a_norm_does_not_divide_out_what_a_width_weighs(net: Any) -> None:
    # Batch norm cancels a factor of each channel; behind it the factor must be what it was.
    own = space(net(lambda x, t: nn.Dense(1)(nn.relu(norm(wide("w")(x), t)))), X)
    variables = own.init(jax.random.key(0), X)

    def total(weights: Array) -> Array:
        return own.apply(variables, {"w": weights[None]}, X, train=True)[0].sum()

    gradient = jax.grad(total)(jnp.array([0.5, 0.5]))
    both = total(jnp.array([0.5, 0.5]))
    # Linear in the weights from there on, up to the norm's epsilon.
    np.testing.assert_allclose(0.5 * gradient.sum(), both, rtol=1e-2)
    assert float(jnp.abs(gradient).min()) > 1e-2


REFUSED = {
    "layer norm": (lambda x: nn.LayerNorm()(wide("w")(x)), "LayerNorm 'LayerNorm_0' would mix channels"),
    "group norm": (lambda x: nn.GroupNorm(2)(wide("w")(x)), "GroupNorm 'GroupNorm_0' would mix channels"),
    "rms norm": (lambda x: nn.RMSNorm(use_scale=False)(wide("w")(x)), "RMSNorm 'RMSNorm_0' would mix channels"),
    "flattened": (lambda x: wide("w")(x).reshape(3, -1), "'Dense_0/kernel' has shape (288, 2)"),
    "joined": (lambda x: jnp.concatenate([x, wide("w")(x)], -1), "(16, 2) with all choices open and (12, 2)"),
    "heads": (lambda x: attend()(wide("w")(x)), "(2, 4) with all choices open and (2, 2)"),
    "grouped": (lambda x: nn.Conv(4, (1, 1), feature_group_count=2)(wide("w")(x)), "(1, 1, 4, 4)"),
    "added to a fixed width": (lambda x: x + wide("w")(x), "the model cannot be built"),
    "added to another width": (lambda x: wide("w")(x) + wide("v")(x), "share the decision by name"),
    "an option beside a fixed width": (lambda x: Choice([wide("w"), nn.Dense(8)])(x), "option 'Dense' (3, 6, 6, 8)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_where_the_law_cannot_hold_is_said_at_once(name: str, net: Any) -> None:
    follow, said = REFUSED[name]
    with pytest.raises(UserError, match="choice 'w' at width 4: ") as raised:
        space(net(lambda x, _: nn.Dense(2)(follow(x))), X)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_outputs_are_of_fixed_width(net: Any) -> None:
    with pytest.raises(UserError, match=r"returns \(3, 6, 6, 4\) instead of \(3, 6, 6, 8\)"):
        space(net(lambda x, _: wide()(x)), X)


@pytest.mark.parametrize("follow", [jnp.cos, nn.softmax, lambda x: x * x.mean(-1, keepdims=True)])
def test_verify_finds_what_no_layer_shows(follow: Any, net: Any) -> None:
    def run(x: Array, train: bool) -> Array:
        y = Choice([nn.relu, nn.gelu], decision="activation")(x)
        return nn.Dense(2)(follow(wide("width")(y)))

    with pytest.raises(UserError, match=r"derived network with width=4 differs from the supernet"):
        verify(space(net(run), X), X)


def test_verify_passes_what_is_equal(net: Any) -> None:
    own = space(net(lambda x, t: nn.Dense(2)(nn.relu(norm(wide()(x), t)))), X)
    assert verify(own, X, networks=2) < 1e-4


CUTS = Cuts(frozenset({(8, 4), (5, 3)}), {("params", "c", "kernel"): ((5, 5), (3, 1))})


def test_what_is_kept_of_an_array() -> None:
    all_of = lambda *sizes: tuple(slice(0, size) for size in sizes)  # noqa: E731
    assert kept(("params", "c", "kernel"), (5, 5, 8, 8), (3, 1, 4, 8), CUTS) == (
        slice(1, 4),
        slice(2, 3),
        *all_of(4, 8),
    )
    # Stacked by a loop; and a dense layer with several axes out, of which none is a window.
    assert kept(("params", "c", "kernel"), (7, 5, 5, 8, 8), (7, 3, 1, 4, 4), CUTS)[:3] == (
        slice(0, 7),
        slice(1, 4),
        slice(2, 3),
    )
    assert kept(("params", "q", "kernel"), (8, 2, 3), (4, 2, 3), CUTS) == all_of(4, 2, 3)
    assert kept(("params", "q", "kernel"), (5, 5, 3), (3, 5, 3), CUTS) == all_of(3, 5, 3)
    for path, whole, own in (
        (("params", "d", "kernel"), (8, 2), (5, 2)),
        (("params", "d", "kernel"), (8, 2), (4,)),
        (("params", "c", "kernel"), (5, 5, 8, 8, 7), (3, 1, 4, 8, 7)),
        (("params", "c", "kernel"), (5, 5, 8, 8), (3, 3, 8, 8)),
    ):
        with pytest.raises(UserError, match="it is open which entries are kept"):
            kept(path, whole, own, CUTS)
