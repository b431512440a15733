"""The DARTS search network: every edge of every cell mixes all operations (arXiv:1806.09055, section 3.1)."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from dnas.nn.ends import Head, Stem
from dnas.nn.mixed import MixedEdges, Mixture
from dnas.nn.operations import FactorizedReduce, ReLUConvBN
from dnas.types import Array, Paths
from search_spaces.darts.cells import INPUTS, CellPlan, edge, groups, loop_name, loops, plan


class SearchCell(nn.Module):
    """A cell whose edges are mixed operations.

    Attributes:
        plan: channels and strides.
        ops: candidate operations.
        nodes: intermediate nodes.
        dtype: type of the computation.
        recompute: whether the derivative computes each edge again.
        parts: one of how many parts of the channels goes through the operations.
        entangled: whether sizes of one convolution share their kernels.
    """

    plan: CellPlan
    ops: tuple[str, ...]
    nodes: int
    dtype: DTypeLike = jnp.float32
    recompute: bool = True
    parts: int = 1
    entangled: bool = False

    @nn.compact
    def __call__(self, s0: jax.Array, s1: jax.Array, weights: jax.Array | Paths, train: bool) -> jax.Array:
        """Map the outputs of the two cells before and `weights` (edges, ops) to the concatenated nodes."""
        channels = self.plan.channels
        settings: dict[str, Any] = {"affine": False, "dtype": self.dtype}
        before = FactorizedReduce if self.plan.reduced_before else ReLUConvBN
        states = [
            before(channels, **settings, name="preprocess_0")(s0, train),
            ReLUConvBN(channels, **settings, name="preprocess_1")(s1, train),
        ]
        inputs = jnp.stack(states)
        stride = self.plan.stride
        shape = states[1][:, ::stride, ::stride].shape
        filled = jnp.zeros((INPUTS + self.nodes, *shape), self.dtype)
        if stride == 1:
            filled = filled.at[:INPUTS].set(inputs)
        for own, pairs in loops(stride, self.nodes).items():
            joined = tuple((INPUTS + node, source) for node, source in pairs)
            mixture = Mixture(self.ops, channels, own, self.dtype, self.parts, self.entangled)
            loop = MixedEdges(joined, mixture, self.recompute, name=loop_name(own))
            rows = np.array([edge(node, source) for node, source in pairs])
            own_weights = jax.tree.map(lambda leaf, rows=rows: leaf[rows], weights)
            filled = loop(filled, inputs if own > 1 else None, own_weights, train)
        return jnp.concatenate(list(filled[INPUTS:]), axis=-1)


class SuperNet(nn.Module):
    """The whole search network; arguments as in `search_spaces.darts.space`."""

    channels: int
    cells: int
    nodes: int
    ops: tuple[str, ...]
    classes: int
    stem_multiplier: int
    dtype: DTypeLike = jnp.float32
    recompute: bool = True
    parts: int = 1
    levels: str = "shared"
    entangled: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, weights: Mapping[str, Array | Paths], train: bool) -> jax.Array:
        """Map images `(N, H, W, channels)` and operation weights to `(N, classes)` float32 logits."""
        s0 = s1 = Stem(self.stem_multiplier * self.channels, self.dtype, name="stem")(x, train)
        own = (self.ops, self.nodes, self.dtype, self.recompute, self.parts, self.entangled)
        for index, cell in enumerate(plan(self.cells, self.channels, groups=groups(self.cells, self.levels))):
            mixed = SearchCell(cell, *own, name=f"cell_{index}")
            s0, s1 = s1, mixed(s0, s1, jax.tree.map(jnp.asarray, weights[cell.group]), train)
        return Head(self.classes, name="head")(s1)
