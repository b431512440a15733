"""Which candidate operations of a mixed operation share one kernel, and how much of it each of them weighs.

The sizes of one convolution (`nor_conv_1x1` and `nor_conv_3x3`, `sep_conv_3x3` and `sep_conv_5x5`, ...) are a family,
computed as its largest member with a kernel that mixes their slices (`dnas.nn.entangled`). As in the TangleNAS code
(automl/TangleNAS at 20aa4b1, `search_spaces/NB201/operations.py` and `search_spaces/DARTS/operations.py`)

- a family has one set of parameters, those of its largest member: slices are of the full convolution, and of both
  depthwise convolutions of a separable one, each mixed with the same weights; pointwise convolutions are shared whole;
- a family has one batch norm, which sees the mixture.

The code adds the normalised mixture op(x; sum_i a_i slice_i) whatever the weights a_i add up to. Batch norm divides
their sum s out again, so that it has neither effect nor derivative: where one path is sampled, nothing reaches `alpha`
by way of a convolution. Here a family is s * op(x; sum_i (a_i / s) slice_i), in training the code's value times s. With
running statistics that is the weighted sum of the separate operations (but for those with a ReLU between two
convolutions), and one-hot weights give the chosen operation in training and evaluation alike.

In that code's NAS-Bench-201 the weight of the 1x1 convolution meets the 3x3 kernel and the other way round, since its
list of sizes has another order than the operations; here each meets its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.errors import UserError
from dnas.nn.entangled import Slice, factor, slice_kernel
from dnas.nn.operations import sized

Tree = Any
FAMILIES = ("nor_conv", "sep_conv", "dil_conv")
"""The operations whose sizes can share kernels; they take a factor for them."""
Factors = Mapping[str, jax.Array]
"""What the kernels of some operations are multiplied by, by the operation's name."""


class Shares(NamedTuple):
    """Operation weights by term.

    Attributes:
        weights: `(T,)` weights of the terms.
        active: `(P,)` the terms to compute; `None` computes all.
        factors: of the kernels of those terms that are families.
    """

    weights: jax.Array
    active: jax.Array | None
    factors: Factors


@dataclass(frozen=True)
class Terms:
    """What a mixed operation sums: its K operations, or families of them.

    Attributes:
        ops: names of the K candidate operations.
        entangled: whether sizes of one convolution are one term.
    """

    ops: tuple[str, ...]
    entangled: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Name of the operation that computes each of the T terms; with families, the last is one more `none`."""
        return (*dict.fromkeys(holders(self.ops).values()), "none") if self.entangled else self.ops

    def shares(self, weights: jax.Array, active: jax.Array | None) -> Shares:
        """Return the weights of the terms.

        Args:
            weights: `(K,)` operation weights.
            active: `(P,)` the operations to compute; the others count as absent. `None` computes all.

        Returns:
            The weights; where two active operations belong to one family, the later path computes `none`, so that a
            family is computed once.
        """
        if not self.entangled:
            return Shares(weights, active, {})
        if active is not None:
            weights = jnp.zeros_like(weights).at[active].set(weights[active])
        names, held_by = self.names, holders(self.ops)
        place = np.array([names.index(held_by[op]) for op in self.ops])
        totals = jnp.zeros(len(names), weights.dtype).at[place].add(weights)
        factors = {}
        for term, name in enumerate(names):
            columns = np.flatnonzero(place == term)
            if len(columns) > 1:
                factors[name] = _factor([self.ops[column] for column in columns], weights[columns])
        if active is not None:
            active = _once(jnp.asarray(place)[active], len(names) - 1)
        return Shares(totals, active, factors)


def _factor(ops: list[str], weights: jax.Array) -> jax.Array:
    sizes = [_member(op)[1] for op in ops]
    largest, total = max(sizes), weights.sum()
    # A family that weighs nothing adds nothing; its batch norm meanwhile sees what it sees of the largest member.
    alone = np.array([size == largest for size in sizes], np.float32)
    shares = jnp.where(total == 0, alone, weights / jnp.where(total == 0, 1, total))
    return factor((largest, largest, 1, 1), [Slice(size) for size in sizes], shares)


def _once(terms: jax.Array, nothing: int) -> jax.Array:
    """Return the terms, with `nothing` in place of each that stood there before."""
    seen = jnp.tril(terms[:, None] == terms, -1).any(axis=1)
    return jnp.where(seen, nothing, terms)


def holders(ops: tuple[str, ...]) -> dict[str, str]:
    """Return for each operation the one that holds its parameters: the largest of its family, or itself."""
    members = {op: _member(op) for op in ops}
    largest = {family: op for op, (family, _) in sorted(members.items(), key=lambda item: item[1][1])}
    return {op: largest[family] for op, (family, _) in members.items()}


def _member(op: str) -> tuple[str, int]:
    """Return an operation's family and its size in it; an operation without sizes is a family of its own."""
    found = sized(op)
    return found if found is not None and found[0] in FAMILIES else (op, 0)


def check_entangled(entangled: bool, ops: tuple[str, ...]) -> None:
    """Raise `UserError` if operations are to share kernels and there are not two sizes of one convolution."""
    if entangled and len(set(holders(ops).values())) == len(ops):
        raise UserError(
            f"space.entangled=true: expected space.ops to hold two sizes of one convolution, got {', '.join(ops)}; add "
            f"one, or set space.entangled=false"
        )


def own_part(op: str, holder: str, tree: Tree) -> Tree:
    """Return what is an operation's own of the parameters, or statistics, of the one that holds them.

    Kernels with height and width are cut to the operation's size, a 1x1 kernel to its `(C, K)` matrix; everything else
    is shared.
    """
    if op == holder:
        return tree
    _, size = _member(op)

    def cut(leaf: jax.Array) -> jax.Array:
        if leaf.ndim != 4:
            return leaf
        own = slice_kernel(leaf, Slice(size))
        return own[0, 0] if size == 1 else own

    return jax.tree.map(cut, tree)
