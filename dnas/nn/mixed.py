"""The mixed operation of one edge, and many edges as loops over a buffer of states."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from dnas.nn.families import Factors, Terms
from dnas.nn.loop import Edges, Loops, Packings, edge_loops
from dnas.nn.norm import batch_norm, moved
from dnas.nn.operations import Operation, Pool, operation
from dnas.nn.packing import Packing, packing
from dnas.nn.partial_channels import divide, join
from dnas.nn.switch import switch
from dnas.types import Paths

Tree = Any
Pair = tuple[int, int]


@dataclass(frozen=True)
class Candidate:
    """One candidate operation as a pure function of its parameters and statistics.

    Attributes:
        op: its name.
        channels: channels in and out.
        stride: 1 or 2.
        pool_norm: whether a pool is followed by batch norm.
        dtype: type of the computation.
    """

    op: str
    channels: int
    stride: int = 1
    pool_norm: bool = True
    dtype: DTypeLike = jnp.float32

    def module(self, name: str | None = None) -> Operation:
        """Return the operation as a Linen module."""
        return operation(self.op)(
            self.channels, self.stride, affine=False, pool_norm=self.pool_norm, dtype=self.dtype, name=name
        )

    def factor(self, factors: Factors) -> tuple[jax.Array, ...]:
        """Return what the operation is called with beside `x` and `train`: the factor of its kernels, if it has one."""
        return (factors[self.op],) if self.op in factors else ()

    def __call__(self, params: Tree, stats: Tree, x: jax.Array, factors: Factors) -> tuple[jax.Array, Tree]:
        """Return the value for `(N, H, W, C)` and new statistics; the other arguments are those of all candidates."""
        own = {"params": params.get(self.op, {}), "batch_stats": stats.get(self.op, {})}
        y, updated = self.module().apply(own, x, True, *self.factor(factors), mutable=["batch_stats"])
        return y, {**stats, self.op: updated["batch_stats"]} if self.op in stats else stats


@partial(jax.jit, static_argnums=0)
def traced_once(candidate: Candidate, params: Tree, stats: Tree, x: jax.Array, factors: Factors) -> Any:
    """Call a candidate in training; where it is called in several places with equal shapes, it is traced once."""
    return candidate(params, stats, x, factors)


def mix_paths(
    candidates: tuple[Candidate, ...],
    params: Tree,
    stats: Tree,
    x: jax.Array,
    weights: jax.Array,
    active: jax.Array,
    factors: Factors,
) -> tuple[jax.Array, Tree]:
    """Return the weighted sum of some operations, of which nothing else is computed.

    Args:
        candidates: all K operations.
        params: theirs, by name.
        stats: their batch statistics, by name.
        x: `(N, H, W, C)` input.
        weights: `(K,)` operation weights.
        active: `(P,)` the operations to compute.
        factors: of the kernels of those candidates that are families.

    Returns:
        `(N, H / stride, W / stride, C)` and the new statistics.
    """

    def add(carry: tuple[jax.Array, Tree], path: jax.Array) -> tuple[tuple[jax.Array, Tree], None]:
        total, stats = carry
        value, stats = switch(candidates, path, params, stats, x, factors)
        return (total + weights[path].astype(value.dtype) * value, stats), None

    first = candidates[0]
    start = jnp.zeros((*x[:, :: first.stride, :: first.stride].shape[:-1], first.channels), first.dtype), stats
    # A loop, since each choice among the operations brings all of them into the program.
    return add(start, active[0])[0] if len(active) == 1 else jax.lax.scan(add, start, active)[0]


@dataclass(frozen=True)
class Mixture:
    """What the mixed operations of a cell have in common.

    Attributes:
        ops: names of the K candidate operations.
        channels: channels C in and out.
        stride: 1 or 2.
        dtype: type of the computation; parameters stay float32.
        parts: one of how many parts of the channels goes through the operations; C is a multiple of it.
        entangled: whether sizes of one convolution share their kernels.
    """

    ops: tuple[str, ...]
    channels: int
    stride: int = 1
    dtype: DTypeLike = jnp.float32
    parts: int = 1
    entangled: bool = False

    @property
    def terms(self) -> Terms:
        """What is summed: the operations, or families of them."""
        return Terms(self.ops, self.entangled)

    def candidates(self) -> tuple[Candidate, ...]:
        """Return what computes each term."""
        channels = self.channels // self.parts
        return tuple(Candidate(op, channels, self.stride, dtype=self.dtype) for op in self.terms.names)

    def divide(self, x: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        """Return the part of a state that goes through the operations, and the other, if there is one."""
        return (x, None) if self.parts == 1 else divide(x, self.parts, self.stride)

    def join(self, y: jax.Array, rest: jax.Array | None, weights: jax.Array) -> jax.Array:
        """Return the value of an edge: what went past the operations weighs what they weigh together."""
        return y if rest is None else join(y, weights.sum().astype(y.dtype) * rest.astype(y.dtype), self.parts)


@dataclass(frozen=True)
class MixedEdge:
    """The mixed operation of an edge for `edge_loops`, all or `some` of whose operations are computed."""

    mixture: Mixture
    some: bool

    def share(self, x: jax.Array) -> Tree:
        """Return both parts of a state and, where all operations are computed, its normalised pools."""
        own, rest = self.mixture.divide(x)
        pools = {}
        for candidate in () if self.some else self.mixture.candidates():
            pool = candidate.module()
            if isinstance(pool, Pool):
                pools[candidate.op] = batch_norm(pool.pooled(own))
        return own, rest, pools

    def __call__(
        self, params: Tree, stats: Tree, shared: Tree, weights: jax.Array, active: jax.Array | None
    ) -> tuple[jax.Array, Tree]:
        """Return the weighted sum of the operations, or of the active ones."""
        x, rest, pools = shared
        candidates = self.mixture.candidates()
        weights, active, factors = self.mixture.terms.shares(weights, active)
        if active is not None:
            total, stats = mix_paths(candidates, params, stats, x, weights, active, factors)
            return self.mixture.join(total, rest, weights[active]), stats
        stride, dtype = self.mixture.stride, self.mixture.dtype
        total = jnp.zeros_like(x[:, ::stride, ::stride], dtype)
        for weight, candidate in zip(weights.astype(dtype), candidates, strict=True):
            name = candidate.op
            if name == "none":
                continue
            if name in pools:
                value, mean, variance = pools[name]
                before = stats[name]["norm"]["bn"]
                after = {"mean": moved(before["mean"], mean), "var": moved(before["var"], variance)}
                stats = {**stats, name: {"norm": {"bn": after}}}
            else:
                value, stats = candidate(params, stats, x, factors)
            total = total + weight * value.astype(dtype)
        return self.mixture.join(total, rest, weights), stats


class MixedOp(nn.Module):
    """The weighted sum of all candidate operations (DARTS, arXiv:1806.09055, equation 2)."""

    mixture: Mixture

    @nn.compact
    def __call__(self, x: jax.Array, weights: jax.Array, train: bool) -> jax.Array:
        """Map `x` (N, H, W, C) and operation weights (K,) to `(N, H / stride, W / stride, C)`."""
        stride, dtype = self.mixture.stride, self.mixture.dtype
        x, rest = self.mixture.divide(x)
        weights, _, factors = self.mixture.terms.shares(weights, None)
        total = jnp.zeros_like(x[:, ::stride, ::stride], dtype)
        for weight, candidate in zip(weights.astype(dtype), self.mixture.candidates(), strict=True):
            if candidate.op != "none":
                total = total + weight * candidate.module(candidate.op)(x, train, *candidate.factor(factors))
        return self.mixture.join(total, rest, weights)


class MixedEdges(nn.Module):
    """E mixed operations as loops, so that the program holds one of them however many edges there are.

    Parameters and statistics are those of one mixed operation with a leading axis of length E.

    Attributes:
        pairs: the E edges as `(target, source)` indices of states.
        mixture: the mixed operation of each.
        recompute: whether each edge is computed again for the derivative, instead of keeping its intermediate arrays.
            Edges of which only some paths are active always are.
    """

    pairs: tuple[Pair, ...]
    mixture: Mixture
    recompute: bool = True

    @nn.compact
    def __call__(
        self, states: jax.Array, sources: jax.Array | None, weights: jax.Array | Paths, train: bool
    ) -> jax.Array:
        """Run the edges.

        Args:
            states: `(S, N, H, W, C)` buffer that values are added to.
            sources: `(S, N, H * stride, W * stride, C)` states to read from; `None` reads from `states` as it is
                filled, which takes edges that only lead from lower to higher states.
            weights: `(E, K)` operation weights, or some paths.
            train: whether batch norm uses batch statistics.

        Returns:
            The filled buffer.
        """
        paths = weights if isinstance(weights, Paths) else Paths(weights, None)  # type: ignore[arg-type]
        fast = train and (self.recompute or paths.active is not None)
        if not fast or self.is_initializing():
            return self.plain(states, sources, all_weights(weights), train)
        edge = MixedEdge(self.mixture, some=paths.active is not None)
        order = _by_source(self.pairs)
        params, stats = (self.variables.get(kind, {}).get("op", {}) for kind in ("params", "batch_stats"))
        count = len(self.pairs)
        packings = Packings(packing(params, stacked=1), packing(stats, stacked=1), count)
        packed = _packed(packings.params, params, count), _packed(packings.stats, stats, count)
        params, stats, paths = jax.tree.map(lambda rows: rows[order.rows], (*packed, paths))
        table = Edges(order.source, order.target, order.present, paths.weights, paths.active)
        states, stats = edge_loops(edge, packings, states, Loops(params, stats, sources, table))
        if packings.stats.shapes and self.is_mutable_collection("batch_stats"):
            after = packings.stats.unpack(stats.reshape(-1, stats.shape[-1])[order.places])
            self.put_variable("batch_stats", "op", after)
        return states

    def plain(self, states: jax.Array, sources: jax.Array | None, weights: jax.Array, train: bool) -> jax.Array:
        """The same as a plain scan with the derivative that JAX finds: the reference, and where variables are made."""

        def turn(module: nn.Module, states: jax.Array, own: Any) -> tuple[jax.Array, None]:
            source, target, weights = own
            x = (states if sources is None else sources)[source]
            op = MixedOp(self.mixture, name="op", parent=module)
            return states.at[target].add(op(x, weights, train)), None

        loop = nn.scan(turn, variable_axes={"params": 0, "batch_stats": 0}, split_rngs={"params": True})
        targets, origins = (jnp.array(column) for column in zip(*self.pairs, strict=True))
        return loop(self, states, (origins, targets, weights))[0]


def _packed(own: Packing, tree: Tree, edges: int) -> jax.Array:
    return own.pack(tree) if own.shapes else jnp.zeros((edges, 0))


def all_weights(weights: jax.Array | Paths) -> jax.Array:
    """Return operation weights in which those that are not active are zero."""
    if not isinstance(weights, Paths):
        return weights
    active = jax.nn.one_hot(weights.active, weights.weights.shape[-1], dtype=bool).any(axis=1)
    return jnp.where(active, weights.weights, 0)


@dataclass(frozen=True)
class _Order:
    """Edges by source: S sources with at most M edges each.

    Attributes:
        source, target, present: as in `Edges`.
        rows: `(S, M)` the edge at each place; 0 for filling.
        places: `(E,)` the place of each edge, counted through all rows.
    """

    source: jax.Array
    target: jax.Array
    present: jax.Array
    rows: np.ndarray
    places: np.ndarray


def _by_source(pairs: tuple[Pair, ...]) -> _Order:
    leaving: dict[int, list[int]] = {}
    for row, (_, source) in sorted(enumerate(pairs), key=lambda item: item[1][1]):
        leaving.setdefault(source, []).append(row)
    longest = max(map(len, leaving.values()))
    rows, present = np.zeros((len(leaving), longest), int), np.zeros((len(leaving), longest), bool)
    for index, own in enumerate(leaving.values()):
        rows[index, : len(own)], present[index, : len(own)] = own, True
    places = np.empty(len(pairs), int)
    places[rows[present]] = np.flatnonzero(present)
    targets = np.array([target for target, _ in pairs])[rows]
    return _Order(jnp.array(list(leaving)), jnp.array(targets), jnp.array(present), rows, places)
