"""The NAS-Bench-201 search network: every edge of every cell mixes all operations (arXiv:2001.00326, section 2)."""

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from dnas.nn.operations import Pool, operation
from search_spaces.nasbench201.cells import CELL, EDGES, NODES, Stage, edge_name
from search_spaces.nasbench201.network import skeleton


class SearchCell(nn.Module):
    """A cell whose edges are mixed operations; all edges that leave a state share its ReLU and its pool.

    Attributes:
        ops: candidate operations.
        channels: channels C.
        train: whether batch norm uses batch statistics.
        dtype: type of the computation.
    """

    ops: tuple[str, ...]
    channels: int
    train: bool
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, weights: jax.Array) -> tuple[jax.Array, None]:
        """Map `(N, H, W, C)` and operation weights (edges, ops) to the last node; the `None` is for `nn.scan`."""
        values: list[list[jax.Array]] = [[x], *([] for _ in range(NODES))]
        for source in range(NODES):
            state = sum(values[source][1:], start=values[source][0])
            shared = {
                "skip_connect": state,
                "avg_pool_3x3": Pool(self.channels, kind="avg", dtype=self.dtype, name=f"pool_{source}")(
                    state, self.train
                ),
            }
            active = nn.relu(state)
            for target in range(source + 1, NODES + 1):
                row = weights[EDGES.index((target, source))].astype(self.dtype)
                values[target].append(self.mix(target, source, row, shared, active))
        return sum(values[-1][1:], start=values[-1][0]), None

    def mix(
        self, target: int, source: int, row: jax.Array, shared: dict[str, jax.Array], active: jax.Array
    ) -> jax.Array:
        """Return an edge's mixed operation, given what its source state's edges share."""
        total = jnp.zeros_like(active)
        for column, op in enumerate(self.ops):
            if op == "none":
                continue
            if op in shared:
                value = shared[op]
            else:
                name = f"{edge_name(target, source)}_{op}"
                # ReLU twice is ReLU once.
                value = operation(op)(self.channels, affine=False, dtype=self.dtype, name=name)(active, self.train)
            total = total + row[column] * value
        return total


class SuperNet(nn.Module):
    """The whole search network; arguments as in `search_spaces.nasbench201.space`."""

    channels: int
    cells: int
    ops: tuple[str, ...]
    classes: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, weights: Mapping[str, jax.Array], train: bool) -> jax.Array:
        """Map images `(N, H, W, channels)` and operation weights to `(N, classes)` float32 logits."""

        def run_cells(stage: Stage, name: str, x: jax.Array) -> jax.Array:
            loop = nn.scan(
                SearchCell,
                variable_axes={"params": 0, "batch_stats": 0},
                split_rngs={"params": True},
                in_axes=nn.broadcast,
                length=stage.cells,
            )
            return loop(self.ops, stage.channels, train, self.dtype, name=name)(x, jnp.asarray(weights[CELL]))[0]

        return skeleton(
            x,
            run_cells,
            train,
            channels=self.channels,
            cells=self.cells,
            classes=self.classes,
            dtype=self.dtype,
        )
