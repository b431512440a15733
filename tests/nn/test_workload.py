"""Parameters and multiply-adds against counts made by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from dnas.genotype import Cell, Edge, Genotype
from dnas.nn.conv import Conv
from dnas.nn.operations import FactorizedReduce, ReLUConvBN, operation
from dnas.nn.workload import workload
from search_spaces import darts

HEIGHT, WIDTH, CHANNELS = 6, 8, 4
PIXELS, REDUCED = HEIGHT * WIDTH, HEIGHT * WIDTH // 4
NORM = 2 * CHANNELS


@pytest.mark.parametrize(
    ("name", "stride", "params", "macs"),
    [
        ("none", 1, 0, 0),
        ("max_pool_3x3", 2, 0, 0),
        ("avg_pool_3x3", 1, 0, 0),
        ("skip_connect", 1, 0, 0),
        ("skip_connect", 2, CHANNELS**2 + NORM, REDUCED * CHANNELS**2),
        ("dil_conv_3x3", 1, 9 * CHANNELS + CHANNELS**2 + NORM, PIXELS * CHANNELS * (9 + CHANNELS)),
        ("dil_conv_5x5", 2, 25 * CHANNELS + CHANNELS**2 + NORM, REDUCED * CHANNELS * (25 + CHANNELS)),
        ("sep_conv_3x3", 1, 2 * (9 * CHANNELS + CHANNELS**2 + NORM), 2 * PIXELS * CHANNELS * (9 + CHANNELS)),
        ("sep_conv_7x7", 2, 2 * (49 * CHANNELS + CHANNELS**2 + NORM), 2 * REDUCED * CHANNELS * (49 + CHANNELS)),
        ("nor_conv_1x1", 1, CHANNELS**2 + NORM, PIXELS * CHANNELS**2),
        ("nor_conv_1x1", 2, CHANNELS**2 + NORM, REDUCED * CHANNELS**2),
        ("nor_conv_3x3", 1, 9 * CHANNELS**2 + NORM, 9 * PIXELS * CHANNELS**2),
        ("nor_conv_3x3", 2, 9 * CHANNELS**2 + NORM, 9 * REDUCED * CHANNELS**2),
        ("conv_7x1_1x7", 1, 14 * CHANNELS**2 + NORM, 14 * PIXELS * CHANNELS**2),
        # The first convolution halves the width only.
        ("conv_7x1_1x7", 2, 14 * CHANNELS**2 + NORM, 7 * (PIXELS // 2 + REDUCED) * CHANNELS**2),
    ],
)
def test_operations(name: str, stride: int, params: int, macs: int) -> None:
    assert workload(operation(name)(CHANNELS, stride), (HEIGHT, WIDTH, CHANNELS)) == (params, macs)


def test_preprocessing() -> None:
    shape = (HEIGHT, WIDTH, 10)
    assert workload(ReLUConvBN(CHANNELS, affine=False), shape) == (10 * CHANNELS, PIXELS * 10 * CHANNELS)
    assert workload(FactorizedReduce(CHANNELS, affine=False), shape) == (10 * CHANNELS, REDUCED * 10 * CHANNELS)


def test_count_does_not_depend_on_the_type_of_the_computation() -> None:
    module = operation("dil_conv_3x3")
    shape = (HEIGHT, WIDTH, CHANNELS)
    assert workload(module(CHANNELS, dtype=jnp.bfloat16), shape) == workload(module(CHANNELS), shape)


class One(nn.Module):
    """A network of one layer."""

    layer: nn.Module

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        return self.layer(x)


@pytest.mark.parametrize(
    ("layer", "params", "macs"),
    [
        (Conv(5), 9 * 4 * 5, PIXELS * 9 * 4 * 5),
        (Conv(5, (1, 7), (1, 2)), 7 * 4 * 5, PIXELS // 2 * 7 * 4 * 5),
        # Rows (6 + 2 - 5) // 2 + 1 and columns 8 + 4 - 3 + 1.
        (Conv(5, (5, 3), (2, 1), (1, 2)), 15 * 4 * 5, 2 * 10 * 15 * 4 * 5),
        (nn.Conv(5, (3, 3), strides=(2, 2)), 9 * 4 * 5 + 5, REDUCED * 9 * 4 * 5),
        (nn.Conv(6, (3, 3), feature_group_count=2, use_bias=False), 9 * 2 * 6, PIXELS * 9 * 2 * 6),
        (nn.Dense(5), 4 * 5 + 5, PIXELS * 4 * 5),
    ],
)
def test_layers(layer: nn.Module, params: int, macs: int) -> None:
    assert workload(One(layer), (HEIGHT, WIDTH, CHANNELS)) == (params, macs)


def skips() -> Genotype:
    cell = Cell(nodes=((Edge("skip_connect", 0), Edge("skip_connect", 1)),), concat=(2,))
    return Genotype("darts", (("normal", cell), ("reduce", cell)))


@pytest.mark.parametrize("auxiliary", [False, True])
def test_whole_network_without_its_auxiliary_head(auxiliary: bool) -> None:
    network = darts.build(skips(), classes=5, channels=4, cells=3, auxiliary=auxiliary)
    full, half, quarter = 32 * 32, 16 * 16, 8 * 8
    layers = [  # pixels of the output, inputs to each, outputs
        (full, 9 * 3, 12),  # stem
        (full, 12, 4),  # normal cell, 4 channels
        (full, 12, 4),
        (full, 12, 8),  # first reduction: preprocessing at full size, then two factorised reductions
        (full, 4, 8),
        (half, 8, 8),
        (half, 8, 8),
        (half, 4, 16),  # second reduction: the first input is twice the size of the second
        (half, 8, 16),
        (quarter, 16, 16),
        (quarter, 16, 16),
    ]
    params = sum(inputs * outputs + 2 * outputs for _, inputs, outputs in layers) + 16 * 5 + 5
    macs = sum(pixels * inputs * outputs for pixels, inputs, outputs in layers) + 16 * 5
    assert network.workload((32, 32, 3)) == (params, macs)
