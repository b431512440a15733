"""The NAS-Bench-201 search network: every edge of every cell mixes all operations (arXiv:2001.00326, section 2)."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from dnas.nn.apart import held
from dnas.nn.families import Factors, Terms
from dnas.nn.mixed import Candidate, mix_paths, traced_once
from dnas.nn.operations import Pool
from dnas.nn.partial_channels import divide, join
from dnas.types import Array, Paths
from search_spaces.nasbench201.cells import CELL, EDGES, NODES, Stage, edge_name
from search_spaces.nasbench201.network import skeleton

Shared = Mapping[str, jax.Array]


class SearchCell(nn.Module):
    """A cell whose edges are mixed operations; all edges that leave a state share its ReLU and its pool.

    Attributes:
        ops: candidate operations.
        channels: channels C.
        train: whether batch norm uses batch statistics.
        dtype: type of the computation.
        parts: one of how many parts of the channels goes through the operations.
        entangled: whether sizes of one convolution share their kernels.
    """

    ops: tuple[str, ...]
    channels: int
    train: bool
    dtype: DTypeLike = jnp.float32
    parts: int = 1
    entangled: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, index: jax.Array, weights: jax.Array | Paths) -> tuple[jax.Array, None]:
        """Map `(N, H, W, C)`, the cell's index and operation weights (edges, ops) to the last node and `None`."""
        values: list[list[jax.Array]] = [[x], *([] for _ in range(NODES))]
        for source in range(NODES):
            state = held(sum(values[source][1:], start=values[source][0]), index)
            own, rest = (state, None) if self.parts == 1 else divide(state, self.parts, 1)
            shared = {} if isinstance(weights, Paths) and self.train else self.share(own, source)
            for target in range(source + 1, NODES + 1):
                edge = EDGES.index((target, source))
                row = jax.tree.map(lambda leaf, edge=edge: leaf[edge], weights)
                mix = self.mix if shared else self.mix_paths
                value, total = mix(f"{edge_name(target, source)}_", row, own, shared)
                if rest is not None:
                    value = join(value, total.astype(value.dtype) * rest, self.parts)
                values[target].append(value)
        return sum(values[-1][1:], start=values[-1][0]), None

    @property
    def terms(self) -> Terms:
        """What an edge sums: the operations, or families of them."""
        return Terms(self.ops, self.entangled)

    def candidates(self) -> tuple[Candidate, ...]:
        """Return what computes each term."""
        channels = self.channels // self.parts
        return tuple(Candidate(op, channels, pool_norm=False, dtype=self.dtype) for op in self.terms.names)

    def share(self, state: jax.Array, source: int) -> Shared:
        """Return what all edges that leave a state have in common."""
        pool = Pool(state.shape[-1], kind="avg", dtype=self.dtype, name=f"pool_{source}")
        return {"relu": nn.relu(state), "skip_connect": state, "avg_pool_3x3": pool(state, self.train)}

    def mix(self, prefix: str, row: jax.Array | Paths, state: jax.Array, shared: Shared) -> tuple[jax.Array, jax.Array]:
        """Return an edge's mixed operation, given what its source state's edges share, and the sum of its weights."""
        weights = row if not isinstance(row, Paths) else _dense(row)
        weights, _, factors = self.terms.shares(weights, None)
        total = jnp.zeros_like(state)
        for weight, candidate in zip(weights.astype(self.dtype), self.candidates(), strict=True):
            if candidate.op == "none":
                continue
            if candidate.op in shared:
                value = shared[candidate.op]
            else:
                # ReLU twice is ReLU once.
                value = self.computed(candidate, f"{prefix}{candidate.op}", shared["relu"], factors)
            total = total + weight * value
        return total, weights.sum()

    def computed(self, candidate: Candidate, name: str, x: jax.Array, factors: Factors) -> jax.Array:
        """Return what a candidate makes of `x`, with the variables that stand under `name`."""
        params, stats = (self.variables.get(kind, {}) for kind in ("params", "batch_stats"))
        if self.is_initializing() or not self.train or name not in stats:
            return candidate.module(name)(x, self.train, *candidate.factor(factors))
        own = ({candidate.op: variables.get(name, {})} for variables in (params, stats))
        value, stats = traced_once(candidate, *own, x, factors)
        self.put_variable("batch_stats", name, stats[candidate.op])
        return value

    def mix_paths(self, prefix: str, row: Any, state: jax.Array, shared: Shared) -> tuple[jax.Array, jax.Array]:
        """Return the weighted sum of an edge's active operations, and the sum of their weights."""
        params, stats = (
            {op: own[f"{prefix}{op}"] for op in self.ops if f"{prefix}{op}" in own}
            for own in (self.variables.get(kind, {}) for kind in ("params", "batch_stats"))
        )
        weights, active, factors = self.terms.shares(*row)
        assert active is not None
        total, stats = mix_paths(self.candidates(), params, stats, state, weights, active, factors)
        for op, after in stats.items():
            self.put_variable("batch_stats", f"{prefix}{op}", after)
        return total, weights[active].sum()


def _dense(row: Paths) -> jax.Array:
    """Return `(K,)` weights in which those that are not active are zero."""
    return jnp.zeros_like(row.weights).at[row.active].set(row.weights[row.active])


class SuperNet(nn.Module):
    """The whole search network; arguments as in `search_spaces.nasbench201.space`."""

    channels: int
    cells: int
    ops: tuple[str, ...]
    classes: int
    dtype: DTypeLike = jnp.float32
    parts: int = 1
    entangled: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, weights: Mapping[str, Array | Paths], train: bool) -> jax.Array:
        """Map images `(N, H, W, channels)` and operation weights to `(N, classes)` float32 logits."""
        rows = jax.tree.map(jnp.asarray, weights[CELL])

        def run_cells(stage: Stage, name: str, x: jax.Array) -> jax.Array:
            loop = nn.scan(
                SearchCell,
                variable_axes={"params": 0, "batch_stats": 0},
                split_rngs={"params": True},
                in_axes=(0, nn.broadcast),
                length=stage.cells,
            )
            cells = loop(self.ops, stage.channels, train, self.dtype, self.parts, self.entangled, name=name)
            return cells(x, jnp.arange(stage.cells), rows)[0]

        return skeleton(
            x,
            run_cells,
            train,
            channels=self.channels,
            cells=self.cells,
            classes=self.classes,
            dtype=self.dtype,
        )
