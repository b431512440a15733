"""The network that a NAS-Bench-201 genotype stands for, and the skeleton it shares with the supernet.

Dong and Yang, arXiv:2001.00326, section 2.1: a 3x3 convolution, three stages of N cells with C, 2C and 4C channels,
a residual block of stride 2 before the second and the third, then batch norm, ReLU, global average pool, dense layer.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.nn.ends import Head, Stem
from dnas.nn.operations import Norm, NormalConv, operation
from dnas.nn.pointwise import Pointwise
from dnas.types import Output
from search_spaces.nasbench201.cells import NODES, Stage, chosen, edge_name, plan, stage_name

Cells = Callable[[Stage, str, jax.Array], jax.Array]
"""`(stage, name, x) -> y`: runs the cells of one stage as a submodule called `name`."""


def skeleton(
    x: jax.Array, run_cells: Cells, train: bool, *, channels: int, cells: int, classes: int, dtype: DTypeLike
) -> jax.Array:
    """Run everything around the cells as submodules of the calling module, the same in supernet and network.

    Args:
        x: `(N, H, W, any)` images, H and W multiples of 4.
        run_cells: runs the cells of a stage.
        train: whether batch norm uses batch statistics.
        channels: channels C of the first stage.
        cells: cells N of a stage.
        classes: number of classes.
        dtype: type of the computation.

    Returns:
        `(N, classes)` float32 logits.
    """
    x = Stem(channels, dtype, name="stem")(x, train)
    for index, stage in enumerate(plan(channels, cells)):
        if stage.reduces:
            x = ResidualBlock(stage.channels, dtype, name=f"residual_{index}")(x, train)
        x = run_cells(stage, stage_name(index), x)
    return Head(classes, name="head")(nn.relu(Norm(dtype=dtype, name="last_norm")(x, train)))


class ResidualBlock(nn.Module):
    """The basic residual block with stride 2: two 3x3 convolutions beside a 2x2 average pool and a 1x1 convolution."""

    channels: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Map `(N, H, W, any)` to `(N, H / 2, W / 2, channels)`."""
        y = NormalConv(self.channels, stride=2, dtype=self.dtype, name="conv_0")(x, train)
        y = NormalConv(self.channels, dtype=self.dtype, name="conv_1")(y, train)
        pooled = nn.avg_pool(x, (2, 2), strides=(2, 2))
        return y + Pointwise(self.channels, self.dtype, name="shortcut")(pooled)


class DerivedCell(nn.Module):
    """A cell with its choices made.

    Attributes:
        genotype: the architecture.
        channels: channels C.
        affine: whether batch norm has scale and bias.
        dtype: type of the computation.
    """

    genotype: Genotype
    channels: int
    affine: bool = True
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Map `(N, H, W, C)` to the last node; edges with `none` are left out."""
        ops = chosen(self.genotype)
        states = [x]
        for node in range(1, NODES + 1):
            total = jnp.zeros_like(x)
            for source in range(node):
                op = ops[node, source]
                if op != "none":
                    name = f"{edge_name(node, source)}_{op}"
                    apply = operation(op)(self.channels, affine=self.affine, dtype=self.dtype, name=name)
                    total = total + apply(states[source], train)
            states.append(total)
        return states[-1]


class DerivedNetwork(nn.Module):
    """The evaluation network; arguments as in `search_spaces.nasbench201.build`."""

    genotype: Genotype
    channels: int
    cells: int
    classes: int
    affine: bool
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, drop_path: jax.Array | float = 0.0) -> Output:
        """Map images `(N, H, W, any)` to `(N, classes)` logits; `UserError` unless `drop_path` is 0."""
        if not (isinstance(drop_path, int | float) and drop_path == 0):
            raise UserError("networks of nasbench201 have no drop path: set retrain.drop_path=0")

        def run_cells(stage: Stage, name: str, x: jax.Array) -> jax.Array:
            for index in range(stage.cells):
                cell = DerivedCell(self.genotype, stage.channels, self.affine, self.dtype, name=f"{name}_{index}")
                x = cell(x, train)
            return x

        return Output(
            skeleton(
                x,
                run_cells,
                train,
                channels=self.channels,
                cells=self.cells,
                classes=self.classes,
                dtype=self.dtype,
            )
        )
