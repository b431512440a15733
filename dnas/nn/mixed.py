"""The mixed operation of one edge, and many edges as one loop over a buffer of states."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from dnas.nn.operations import operation


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


class MixedEdge(nn.Module):
    """One turn of the loop: apply an edge's mixed operation to its source state and add the value to its target.

    Attributes:
        ops, channels, stride, dtype: as for `MixedOp`.
        train: whether batch norm uses batch statistics.
    """

    ops: tuple[str, ...]
    channels: int
    stride: int
    train: bool
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, states: jax.Array, sources: jax.Array | None, edge: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, None]:
        """Read from `sources` (from `states` itself where it is `None`) and add into `states` (S, N, H, W, C)."""
        source, target, weights = edge
        x = (states if sources is None else sources)[source]
        value = MixedOp(self.ops, self.channels, self.stride, self.dtype, name="op")(x, weights, self.train)
        return states.at[target].add(value), None


def mixed_edges(
    states: jax.Array,
    sources: jax.Array | None,
    edges: tuple[jax.Array, jax.Array, jax.Array],
    *,
    ops: tuple[str, ...],
    channels: int,
    stride: int,
    train: bool,
    dtype: DTypeLike,
    name: str,
) -> jax.Array:
    """Run E edges in order as one loop, so that the program holds one mixed operation however many edges there are.

    Parameters and statistics are those of one mixed operation with a leading axis of length E.

    Args:
        states: `(S, N, H, W, C)` buffer that values are added to.
        sources: `(S, N, H * stride, W * stride, C)` states to read from; `None` reads from `states` as it is filled.
        edges: `(E,)` index of the source, `(E,)` index of the target, `(E, K)` operation weights.
        ops: candidate operations.
        channels: channels C.
        stride: 1 or 2.
        train: whether batch norm uses batch statistics.
        dtype: type of the computation.
        name: name of the submodule.

    Returns:
        The filled buffer.
    """
    loop = nn.scan(
        MixedEdge,
        variable_axes={"params": 0, "batch_stats": 0},
        split_rngs={"params": True},
        in_axes=(nn.broadcast, 0),
        length=edges[0].shape[0],
    )
    return loop(ops, channels, stride, train, dtype, name=name)(states, sources, edges)[0]
