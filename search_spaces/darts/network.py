"""The network that a DARTS genotype stands for (arXiv:1806.09055, section 3.1 and appendix A)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from dnas.genotype import Genotype
from dnas.nn.conv import Conv
from dnas.nn.ends import Head, Stem
from dnas.nn.functions import DROP_PATH
from dnas.nn.operations import FactorizedReduce, Norm, ReLUConvBN, operation
from dnas.types import Output
from search_spaces.darts.cells import INPUTS, REDUCE, CellPlan, plan


class DerivedCell(nn.Module):
    """A cell with its choices made.

    Attributes:
        genotype: the architecture; the cell of `plan.group` is built.
        plan: channels and strides.
        affine: whether batch norm has scale and bias.
        pool_norm: whether pools are followed by batch norm.
        dtype: type of the computation.
    """

    genotype: Genotype
    plan: CellPlan
    affine: bool = True
    pool_norm: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, s0: jax.Array, s1: jax.Array, train: bool, drop_path: jax.Array | float = 0.0) -> jax.Array:
        """Map the outputs of the two cells before to the concatenation that the genotype names."""
        cell, channels = self.genotype[self.plan.group], self.plan.channels
        settings: dict[str, Any] = {"affine": self.affine, "dtype": self.dtype}
        before = FactorizedReduce if self.plan.reduced_before else ReLUConvBN
        states = [
            before(channels, **settings, name="preprocess_0")(s0, train),
            ReLUConvBN(channels, **settings, name="preprocess_1")(s1, train),
        ]
        for node, kept in enumerate(cell.nodes):
            values = []
            for position, (op, source) in enumerate((edge.op, edge.source) for edge in kept):
                stride = self.plan.stride if source < INPUTS else 1
                apply = operation(op)(
                    channels, stride, **settings, pool_norm=self.pool_norm, name=edge_name(node, position, op)
                )
                value = apply(states[source], train)
                identity = op == "skip_connect" and stride == 1
                values.append(value if identity or not train else self.drop(value, drop_path))
            states.append(sum(values, start=jnp.zeros((), self.dtype)))
        return jnp.concatenate([states[index] for index in cell.concat], axis=-1)

    def drop(self, x: jax.Array, rate: jax.Array | float) -> jax.Array:
        """Zero whole samples with probability `rate` and scale the others by 1 / (1 - rate)."""
        if isinstance(rate, float) and rate == 0.0:
            return x
        keep = jnp.asarray(1.0 - rate, jnp.float32)
        mask = jax.random.bernoulli(self.make_rng(DROP_PATH), keep, (x.shape[0], 1, 1, 1))
        return x * (mask / keep).astype(x.dtype)


def edge_name(node: int, position: int, op: str) -> str:
    """Name of the submodule of the edge that stands at `position` among those kept by `node`."""
    return f"node_{node}_{position}_{op}"


class DerivedNetwork(nn.Module):
    """The evaluation network; arguments as in `search_spaces.darts.build`."""

    genotype: Genotype
    channels: int
    cells: int
    classes: int
    stem_multiplier: int
    stem: str
    auxiliary: bool
    affine: bool
    pool_norm: bool
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, drop_path: jax.Array | float = 0.0) -> Output:
        """Map images `(N, H, W, any)` to `(N, classes)` logits; those of the auxiliary head in training only."""
        if self.stem == "imagenet":
            s0, s1 = ImageNetStem(self.channels, self.dtype, name="stem")(x, train)
        else:
            s0 = s1 = Stem(self.stem_multiplier * self.channels, self.dtype, name="stem")(x, train)
        auxiliary = None
        groups = tuple(name for name, _ in self.genotype.cells)
        for index, cell in enumerate(plan(self.cells, self.channels, self.stem == "imagenet", groups)):
            own = Genotype(self.genotype.space, ((cell.group, self.genotype[cell.group]),))
            derived = DerivedCell(own, cell, self.affine, self.pool_norm, self.dtype, name=f"cell_{index}")
            s0, s1 = s1, derived(s0, s1, train, drop_path)
            if self.auxiliary and train and index == 2 * self.cells // 3:
                stride = 2 if self.stem == "imagenet" else 3
                auxiliary = AuxiliaryHead(self.classes, stride, self.dtype, name="auxiliary")(s1, train)
        return Output(Head(self.classes, name="head")(s1), auxiliary)


class ImageNetStem(nn.Module):
    """Three stride-2 3x3 convolutions; the first cell's inputs are the outputs after two and after three of them."""

    channels: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        """Map `(N, H, W, any)` to a quarter and an eighth of the size, both with `channels` channels."""
        outputs = []
        for index, channels in enumerate((self.channels // 2, self.channels, self.channels)):
            conv = Conv(channels, strides=(2, 2), dtype=self.dtype, name=f"conv_{index}")
            x = Norm(dtype=self.dtype, name=f"norm_{index}")(conv(x if index == 0 else nn.relu(x)), train)
            outputs.append(x)
        return outputs[1], outputs[2]


class AuxiliaryHead(nn.Module):
    """The auxiliary classifier after the second reduction; made for 8x8 (CIFAR-10), larger maps are averaged."""

    classes: int
    pool_stride: int = 3
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Map `(N, H, W, C)`, H and W at least 8, to `(N, classes)` logits."""
        x = nn.avg_pool(nn.relu(x), (5, 5), strides=(self.pool_stride, self.pool_stride))
        for index, (channels, size) in enumerate(((128, 1), (768, 2))):
            conv = Conv(channels, (size, size), padding=(0, 0), dtype=self.dtype, name=f"conv_{index}")
            x = nn.relu(Norm(dtype=self.dtype, name=f"norm_{index}")(conv(x), train))
        return Head(self.classes, name="head")(x)


def auxiliary_size(height: int, width: int) -> tuple[int, int]:
    """Return the size of the map that the auxiliary head sees, for a network without the ImageNet stem."""
    return height // 4, width // 4


__all__ = ["REDUCE", "DerivedNetwork", "auxiliary_size", "edge_name"]
