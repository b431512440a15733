"""One time step of the recurrent cell, with its choices mixed or made.

Equations: Liu, Simonyan and Yang (arXiv:1806.09055, section 3.1.2) as their code computes them (quark0/darts
at f276dd3, `rnn/model.py` and `rnn/model_search.py`). Every state of a cell is a highway update of an earlier one:
`s + sigmoid(c) * (f(h) - s)`, where `[c, h]` is a product of the earlier state with the node's own matrix, which all
edges and operations of the node share.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from dnas.genotype import Cell
from dnas.nn.norm import EPSILON, batch_norm, moved
from dnas.selection.top_edges import NONE
from dnas.types import Array

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "identity": lambda x: x,
}
"""The functions f of the operations; `none` has none, and takes a share of the weight without adding anything."""

OPS = (NONE, *ACTIVATIONS)
"""The five candidate operations, in the order of the columns of `alpha`."""

Gates = Callable[[Array], tuple[Array, Array]]
"""`states -> (gate, content)`: sigmoid(c) and h of a node, for states `(..., B, units)`."""
Choice = Callable[[int, Sequence[Array], Gates], Array]
"""`(node, states, gates) -> value`: what a node, counted from 0, makes of the `node + 1` states `(B, units)` before."""


class Norm(NamedTuple):
    """Running statistics of the batch norm after each state of a cell, both `(1 + nodes, units)`."""

    mean: Array
    var: Array


class CellParams(NamedTuple):
    """A cell's matrices.

    Attributes:
        first: `(units, 2 * units)`, the rows of W0 that see the hidden state.
        nodes: `(nodes, units, 2 * units)`.
    """

    first: Array
    nodes: Array


def first_edge(node: int) -> int:
    """Return the number of the edge that joins `node` with state 0; the edges of its other sources follow."""
    return node * (node + 1) // 2


def mixed(weights: Array, ops: Sequence[str]) -> Choice:
    """Return the choice of a supernet: the weighted sum over all sources and operations.

    Args:
        weights: `(edges, ops)` operation weights.
        ops: names of the operations.
    """
    real = [column for column, op in enumerate(ops) if op != NONE]

    def value(node: int, states: Sequence[Array], gates: Gates) -> Array:
        stacked = jnp.stack(states)
        begin = first_edge(node)
        rows = weights[begin : begin + len(states), real].astype(stacked.dtype)[..., None, None]
        gate, content = gates(stacked)
        moved_to = sum(rows[:, place] * ACTIVATIONS[ops[column]](content) for place, column in enumerate(real))
        return (rows.sum(axis=1) * (1 - gate) * stacked + gate * moved_to).sum(axis=0)

    return value


def chosen(cell: Cell) -> Choice:
    """Return the choice of a genotype: the sum over the edges that each node keeps, in published cells one."""

    def value(node: int, states: Sequence[Array], gates: Gates) -> Array:
        total = jnp.zeros_like(states[0])
        for edge in cell.nodes[node]:
            state = states[edge.source]
            gate, content = gates(state)
            total = total + state + gate * (ACTIVATIONS[edge.op](content) - state)
        return total

    return value


def step(
    choice: Choice,
    concat: Sequence[int],
    params: CellParams,
    inputs: Array,
    hidden: Array,
    norm: Norm | None,
    *,
    mask: Array | float,
    train: bool,
) -> tuple[Array, Norm | None]:
    """Take one time step.

    Args:
        choice: what each node computes.
        concat: the states whose mean is the new hidden state.
        params: the matrices, in the type of the computation.
        inputs: `(B, 2 * units)`, what W0 makes of the token's embedding.
        hidden: `(B, units)` hidden state.
        norm: running statistics, where states are normalised.
        mask: of variational dropout, on states before each product; `(B, units)`, or 1 for none.
        train: whether batch norm uses the minibatch's statistics and moves the running ones.

    Returns:
        The new hidden state, and the new running statistics.
    """
    states: list[Array] = []
    seen: list[tuple[Array, Array]] = []

    def gates(kernel: Array, state: Array) -> tuple[Array, Array]:
        gate, content = jnp.split((state * mask) @ kernel, 2, axis=-1)
        return jax.nn.sigmoid(gate), content

    def add(state: Array) -> None:
        if norm is not None:
            state, *moments = _normalised(state, norm.mean[len(states)], norm.var[len(states)], train)
            seen.append((moments[0], moments[1]))
        states.append(state)

    gate, content = jnp.split(inputs + (hidden * mask) @ params.first, 2, axis=-1)
    add(hidden + jax.nn.sigmoid(gate) * (jnp.tanh(content) - hidden))
    for node in range(params.nodes.shape[0]):
        add(choice(node, states, partial(gates, params.nodes[node])))
    if norm is not None and train:
        means, variances = (jnp.stack(moments) for moments in zip(*seen, strict=True))
        norm = Norm(moved(norm.mean, means), moved(norm.var, variances))
    return jnp.stack([states[index] for index in concat]).mean(axis=0), norm


def _normalised(state: Array, mean: Array, var: Array, train: bool) -> tuple[Array, Array, Array]:
    """Return the normalised state `(B, units)` and the mean and variance that it was normalised by."""
    if train:
        value, mean, var = batch_norm(state[:, None, None, :])
        return value[:, 0, 0, :], mean, var
    return ((state - mean) * lax.rsqrt(var + EPSILON)).astype(state.dtype), mean, var
