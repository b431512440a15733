"""The HyperCuboid search network: states of all widths on every level, with a mixed operation between any two.

Hundt, Jain and Hager, arXiv:1903.09900, section 4; `MultiChannelNetwork` of the authors' code (ahundt/sharpDARTS at
6f593d4, `cnn/model_search.py`).
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from dnas.nn.ends import Head, Stem
from dnas.nn.mixed import all_weights, mix_paths
from dnas.nn.sharp import SharpSepConv
from dnas.types import Array, Paths
from search_spaces.hypercuboid.grid import END, GRID, Grid, edge_name, end_name, stem_name, stride
from search_spaces.hypercuboid.operations import ResizedCandidate


class MixedEdge(nn.Module):
    """The mixed operation of one edge.

    Attributes:
        candidates: its operations, in the order of the columns of `alpha`.
    """

    candidates: tuple[ResizedCandidate, ...]

    @nn.compact
    def __call__(self, x: jax.Array, weights: jax.Array | Paths, train: bool) -> jax.Array:
        """Map `(N, H, W, any)` and operation weights (K,), or some paths, to `(N, H / stride, W / stride, C)`."""
        if isinstance(weights, Paths):
            return self.mix_paths(x, weights)
        total: Any = 0.0
        for weight, candidate in zip(weights, self.candidates, strict=True):
            value = candidate.module(candidate.op)(x, train)
            total = total + weight.astype(value.dtype) * value
        return total

    def mix_paths(self, x: jax.Array, paths: Paths) -> jax.Array:
        """Return the weighted sum of the active operations; in training only."""
        params, stats = (dict(self.variables.get(kind, {})) for kind in ("params", "batch_stats"))
        total, after = mix_paths(self.candidates, params, stats, x, paths.weights, paths.active, {})
        for op, own in after.items():
            self.put_variable("batch_stats", op, own)
        return total


class SuperNet(nn.Module):
    """The whole search network; arguments as in `search_spaces.hypercuboid.space`."""

    grid: Grid
    ops: tuple[str, ...]
    channels: int
    head_channels: int
    classes: int
    affine: bool
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, weights: Mapping[str, Array | Paths], train: bool) -> jax.Array:
        """Map images `(N, H, W, channels)` and operation weights to `(N, classes)` float32 logits."""
        mixture = jax.tree.map(jnp.asarray, weights[GRID])
        dense = all_weights(mixture)
        grid = self.grid
        states = [Stem(self.width(i), self.dtype, name=stem_name(i))(x, train) for i in range(grid.widths)]
        for level in range(1, grid.levels + 1):
            rows = mixture if train else dense
            states = [self.state(level, target, states, rows, train) for target in range(grid.widths)]
        settings: dict[str, Any] = {"affine": self.affine, "dtype": self.dtype}
        total: Any = 0.0
        for source, state in enumerate(states):
            value = SharpSepConv(self.head_channels, **settings, name=end_name(source))(state, train)
            weight = dense[grid.row(grid.end, source), self.ops.index(END)]
            total = total + weight.astype(value.dtype) * value
        return Head(self.classes, name="head")(total)

    def width(self, index: int) -> int:
        """Return how many channels a width has."""
        return self.channels * 2**index

    def state(self, level: int, target: int, states: list[jax.Array], rows: Any, train: bool) -> jax.Array:
        """Return the state of a level and width: the sum of mixed operations from all states of the level before."""
        grid = self.grid
        candidates = tuple(
            ResizedCandidate(op, self.width(target), stride(level), dtype=self.dtype, affine=self.affine)
            for op in self.ops
        )
        total: Any = 0.0
        for source, state in enumerate(states):
            row = grid.row(level * grid.widths + target, source)
            own = jax.tree.map(lambda leaf, row=row: leaf[row], rows)
            total = total + MixedEdge(candidates, name=edge_name(level, source, target))(state, own, train)
        return total
