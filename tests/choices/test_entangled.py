"""An entangled mixture is the weighted sum of its options, and costs one product of the largest size."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dnas import UserError, space
from dnas.choices import Conv, Dense
from dnas.choices.context import deciding
from dnas.choices.entangled import masks
from dnas.macs import count_macs
from dnas.types import Array


def draw(*shape: int) -> Array:
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), jnp.float32)


IMAGE = draw(2, 9, 8, 3)
SIDES = (1, 3, 5)
WIDTHS = (2, 5)


def mixed(layer: nn.Module, variables: Any, x: Array, **weights: Any) -> Array:
    """Return what a layer computes, each decision of which has these weights."""
    with deciding(lambda decision: jnp.asarray(weights[decision.name.rpartition(".")[2]])):
        return layer.apply(variables, x)


def variables_of(layer: nn.Module, x: Array) -> Any:
    with deciding(lambda decision: jnp.ones(len(decision.options))):
        shapes = jax.eval_shape(layer.init, jax.random.key(0), x)
    return jax.tree.map(lambda leaf: draw(*leaf.shape), shapes)


@pytest.mark.parametrize("padding", ["SAME", "VALID", 2, ((2, 3), (0, 1))])
@pytest.mark.parametrize("strides", [1, (2, 1)])
@pytest.mark.parametrize("dilation", [1, (1, 2)])
def test_a_mixture_of_convolutions_is_the_weighted_sum_of_the_separate_ones(
    padding: Any, strides: Any, dilation: Any
) -> None:
    layer = Conv(
        WIDTHS,
        tuple((side, side) for side in SIDES[:2]),
        strides=strides,
        padding=padding,
        kernel_dilation=dilation,
        decision="both",
    )
    x = draw(2, 8, 9, 3)
    variables = variables_of(layer, x)
    kernel, bias = variables["params"]["kernel"], variables["params"]["bias"]
    assert kernel.shape == (3, 3, 3, 5)
    widths, sides = np.array([0.3, 0.6], np.float32), np.array([0.2, 0.5], np.float32)

    def alone(side: int, width: int) -> Array:
        # Padded with zeros to the largest, so that nothing but its values tells the option from another.
        edge = (3 - side) // 2
        own = jnp.zeros_like(kernel).at[edge : edge + side, edge : edge + side, :, :width].set(1) * kernel
        flax = nn.Conv(5, (3, 3), strides=strides, padding=padding, kernel_dilation=dilation, use_bias=False)
        return flax.apply({"params": {"kernel": own}}, x) + bias * (jnp.arange(5) < width)

    expected = sum(
        a * b * alone(side, width)
        for b, side in zip(sides, SIDES[:2], strict=True)
        for a, width in zip(widths, WIDTHS, strict=True)
    )
    found = mixed(layer, variables, x, features=widths, kernel_size=sides)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_at_stride_one_each_window_is_flax_s_own_convolution(rank: int, batch: tuple[int, ...]) -> None:
    x = draw(*batch, *(6, 5, 4)[:rank], 3)
    layer = Conv(4, tuple((side,) * rank for side in SIDES))
    variables = variables_of(layer, x)
    for index, side in enumerate(SIDES):
        middle = (slice((5 - side) // 2, (5 + side) // 2),) * rank
        own = {"params": {**variables["params"], "kernel": variables["params"]["kernel"][middle]}}
        expected = nn.Conv(4, (side,) * rank).apply(own, x)
        with deciding(lambda _, index=index: index):
            alone = layer.apply(own, x)
        np.testing.assert_allclose(alone, expected, rtol=1e-4, atol=1e-4)
        with deciding(lambda _, index=index: jnp.eye(3)[index]):
            np.testing.assert_allclose(layer.apply(variables, x), expected, rtol=1e-4, atol=1e-4)


def test_a_mixture_of_dense_layers_is_the_weighted_sum_of_the_separate_ones() -> None:
    x, layer = draw(2, 7, 4), Dense((6, 2, 3), decision="width")
    variables = variables_of(layer, x)
    kernel, bias = variables["params"]["kernel"], variables["params"]["bias"]
    weights = np.array([0.5, 0.2, 0.7], np.float32)
    separate = [jnp.pad(x @ kernel[:, :n] + bias[:n], ((0, 0), (0, 0), (0, 6 - n))) for n in (6, 2, 3)]
    expected = sum(weight * own for weight, own in zip(weights, separate, strict=True))
    np.testing.assert_allclose(mixed(layer, variables, x, width=weights), expected, rtol=1e-5, atol=1e-5)


def test_groups_keep_their_channels_under_each_window() -> None:
    x, layer = draw(2, 6, 6, 4), Conv(8, ((3, 3), (1, 3)), feature_group_count=2)
    variables = variables_of(layer, x)
    params = variables["params"]
    assert params["kernel"].shape == (3, 3, 2, 8)
    own = {"params": {**params, "kernel": params["kernel"][1:2]}}
    expected = nn.Conv(8, (1, 3), feature_group_count=2).apply(own, x)
    with deciding(lambda _: jnp.eye(2)[1]):
        np.testing.assert_allclose(layer.apply(variables, x), expected, rtol=1e-5, atol=1e-5)


def test_a_mixture_costs_one_convolution_of_the_largest_size() -> None:
    layer = Conv(WIDTHS, tuple((side, side) for side in SIDES), decision="both")
    weights = {"features": np.ones(2, np.float32), "kernel_size": np.ones(3, np.float32)}
    text = jax.jit(lambda v, x: mixed(layer, v, x, **weights)).lower(variables_of(layer, IMAGE), IMAGE).as_text()
    assert text.count("stablehlo.convolution") == 1
    count = count_macs(lambda v, x: mixed(layer, v, x, **weights), variables_of(layer, IMAGE), IMAGE)
    assert count == 2 * 9 * 8 * 5 * 5 * 3 * 5
    dense = Dense((2, 3, 6), decision="width")
    x = draw(2, 4)
    assert count_macs(lambda v: mixed(dense, v, x, width=np.ones(3, np.float32)), variables_of(dense, x)) == 2 * 4 * 6


def test_masks_are_first_channels_and_middles() -> None:
    assert masks(((1,), (3,)), centred=False).tolist() == [[1, 0, 0], [1, 1, 1]]
    assert masks(((1,), (3,)), centred=True).tolist() == [[0, 1, 0], [1, 1, 1]]
    assert masks(((2,), (4,)), centred=True).tolist() == [[0, 1, 1, 0], [1, 1, 1, 1]]
    crossed = masks(((1, 3), (3, 1)), centred=True)
    assert crossed.shape == (2, 3, 3)
    assert crossed[0].tolist() == crossed[1].T.tolist() == [[0, 0, 0], [1, 1, 1], [0, 0, 0]]


def test_computation_follows_the_type_that_is_asked_for() -> None:
    for layer, x in (
        (Conv(WIDTHS, ((1, 1), (3, 3)), dtype=jnp.bfloat16, decision="w"), IMAGE),
        (Dense((2, 4), dtype=jnp.bfloat16, decision="w"), draw(2, 4)),
    ):
        variables = variables_of(layer, x)
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
        weights = {"features": np.ones(2, np.float32), "kernel_size": np.ones(2, np.float32), "w": np.ones(2)}
        assert mixed(layer, variables, x, **weights).dtype == jnp.bfloat16


def test_parameters_of_derived_networks_in_closed_form(net: Any, hold: Any, lowered: Any) -> None:
    def run(x: Array, _: bool) -> Array:
        x = Conv(WIDTHS, tuple((side, side) for side in SIDES), decision="stem")(x)
        return nn.Dense(3)(nn.relu(x).mean((1, 2)))

    held = hold(space(net(run), IMAGE), IMAGE)
    for width in WIDTHS:
        for side in SIDES:
            own = held.derive(**{"stem.features": str(width), "stem.kernel_size": f"{side}x{side}"})
            workload = own.network.workload((9, 8, 3))
            assert workload.params == side * side * 3 * width + width + 3 * width + 3
            assert workload.macs == 9 * 8 * side * side * 3 * width + 3 * width
            text = lowered(own, IMAGE)
            assert text.count("stablehlo.convolution") == 1
            others = {f"tensor<{a}x{a}x3x{b}x" for a in SIDES for b in WIDTHS} - {f"tensor<{side}x{side}x3x{width}x"}
            assert f"tensor<{side}x{side}x3x{width}x" in text
            assert not any(other in text for other in others)


def test_strided_windows_keep_their_centres(net: Any, hold: Any) -> None:
    # SAME at stride 2 on an even image would put a window of one somewhere else than the middle of three.
    def run(x: Array, _: bool) -> Array:
        return nn.Dense(3)(Conv(4, ((1, 1), (3, 3), (5, 5)), strides=2, decision="c")(x))

    x = draw(2, 8, 8, 3)
    held = hold(space(net(run), x), x)
    shapes = {own.outputs.shape for own in (held.derive(c=f"{side}x{side}") for side in SIDES)}
    assert shapes == {(2, 4, 4, 3)}


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Conv(4, ((3, 3), (2, 2))), "3x3, 2x2 have no common centre"),
        (Conv(4, ((3, 3), (5,))), "expected the sides of a window"),
        (Conv(4, 3), "Conv: features is 4 and kernel_size 3, which leaves nothing to choose"),
        (Conv(4, (3, 3)), "leaves nothing to choose"),
        (Conv((4, 2.5), (3, 3)), "features is (4, 2.5), expected a whole number"),
        (Conv((0, 2), (3, 3)), "above zero"),
        (Conv((4, 4), (3, 3)), "options of different names, got 4, 4"),
        (Conv((3, 6), (3, 3), feature_group_count=3), "feature_group_count is 3"),
        (Conv((3, 6), (3, 3), padding="CIRCULAR"), "padding is 'CIRCULAR'"),
        (Conv((3, 6), (3, 3, 3, 3)), "expected 4 spatial axes"),
        (Conv((3, 6), (11, 3), padding="VALID"), "11x3 does not fit"),
        (Dense(4), "leaves nothing to choose: use flax's Dense"),
        (Dense((4,)), "expected at least two options, got 1"),
        (Dense((4, "8")), "expected a whole number"),
    ],
)
def test_bad_arguments_are_one_sentence(layer: nn.Module, said: str, net: Any) -> None:
    with pytest.raises(UserError) as raised:
        space(net(lambda x, _: nn.Dense(2)(layer.copy()(x))), IMAGE)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_own_derivative_of_the_convolution_is_that_of_xla() -> None:
    layer = Conv(4, ((1, 1), (3, 3)), strides=2, padding=1, decision="kernel_size")
    variables, weights = variables_of(layer, IMAGE), np.array([0.4, 0.8], np.float32)

    def plain(variables: Any, weights: Any) -> Array:
        kernel = variables["params"]["kernel"] * (
            weights[1] + weights[0] * masks(((1, 1), (3, 3)), centred=True)[0][..., None, None]
        )
        y = lax.conv_general_dilated(IMAGE, kernel, (2, 2), [(1, 1)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return jnp.sin(y + variables["params"]["bias"] * weights.sum()).sum()

    def own(variables: Any, weights: Any) -> Array:
        return jnp.sin(mixed(layer, variables, IMAGE, kernel_size=weights)).sum()

    for a, b in zip(
        jax.tree.leaves(jax.grad(plain, (0, 1))(variables, jnp.asarray(weights))),
        jax.tree.leaves(jax.grad(own, (0, 1))(variables, jnp.asarray(weights))),
        strict=True,
    ):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-3)
