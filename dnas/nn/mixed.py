"""The mixed operation of one edge, and many edges as one loop over a buffer of states."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from dnas.nn.loop import Edges, edge_loop
from dnas.nn.operations import operation

Tree = Any


class MixedOp(nn.Module):
    """The weighted sum of all candidate operations (DARTS, arXiv:1806.09055, equation 2).

    Attributes:
        ops: names of the K candidate operations.
        channels: channels C in and out.
        stride: 1 or 2.
        dtype: type of the computation; parameters stay float32.
    """

    ops: tuple[str, ...]
    channels: int
    stride: int = 1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, weights: jax.Array, train: bool) -> jax.Array:
        """Map `x` (N, H, W, C) and operation weights (K,) to `(N, H / stride, W / stride, C)`."""
        total = jnp.zeros_like(x[:, :: self.stride, :: self.stride], self.dtype)
        weights = weights.astype(self.dtype)
        for column, name in enumerate(self.ops):
            if name != "none":
                op = operation(name)(
                    self.channels, self.stride, affine=False, pool_norm=True, dtype=self.dtype, name=name
                )
                total = total + weights[column] * op(x, train)
        return total


class MixedEdges(nn.Module):
    """E mixed operations as one loop, so that the program holds one of them however many edges there are.

    Parameters and statistics are those of one mixed operation with a leading axis of length E.

    Attributes:
        ops, channels, stride, dtype: as for `MixedOp`.
        recompute: whether each edge is computed again for the derivative, instead of keeping its intermediate arrays.
    """

    ops: tuple[str, ...]
    channels: int
    stride: int = 1
    dtype: DTypeLike = jnp.float32
    recompute: bool = True

    @nn.compact
    def __call__(self, states: jax.Array, sources: jax.Array | None, edges: Edges, train: bool) -> jax.Array:
        """Run the edges in order.

        Args:
            states: `(S, N, H, W, C)` buffer that values are added to.
            sources: `(S, N, H * stride, W * stride, C)` states to read from; `None` reads from `states` as it is
                filled, so that a state must be complete before an edge leaves it.
            edges: the E edges.
            train: whether batch norm uses batch statistics.

        Returns:
            The filled buffer.
        """
        if not self.recompute or not train or self.is_initializing():
            return self.plain(states, sources, edges, train)
        op = MixedOp(self.ops, self.channels, self.stride, self.dtype, parent=None)

        def edge(params: Tree, stats: Tree, x: jax.Array, weights: jax.Array) -> tuple[jax.Array, Tree]:
            y, updated = op.apply({"params": params, "batch_stats": stats}, x, weights, True, mutable=["batch_stats"])
            return y, updated.get("batch_stats", {})

        params, stats = (self.variables.get(kind, {}).get("op", {}) for kind in ("params", "batch_stats"))
        states, stats = edge_loop(edge, params, stats, states, sources, edges)
        if stats and self.is_mutable_collection("batch_stats"):
            self.put_variable("batch_stats", "op", stats)
        return states

    def plain(self, states: jax.Array, sources: jax.Array | None, edges: Edges, train: bool) -> jax.Array:
        """The same as a plain scan with the derivative that JAX finds: the reference, and where variables are made."""

        def turn(module: nn.Module, states: jax.Array, edge: Edges) -> tuple[jax.Array, None]:
            x = (states if sources is None else sources)[edge.source]
            op = MixedOp(self.ops, self.channels, self.stride, self.dtype, name="op", parent=module)
            return states.at[edge.target].add(op(x, edge.weights, train)), None

        loop = nn.scan(turn, variable_axes={"params": 0, "batch_stats": 0}, split_rngs={"params": True})
        return loop(self, states, edges)[0]
