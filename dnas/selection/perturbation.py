"""Perturbation-based selection (Wang et al., *Rethinking architecture selection*, DARTS-PT, arXiv:2108.04392).

What an operation is worth is how much the supernet loses without it, not how large its architecture parameter is. One
edge after another is decided, with fine-tuning between:

    projected = start(space.spec)
    rounds, epochs = schedule(space.spec, interval=5, seed=0)
    for epoch in range(epochs):
        for decisions in rounds:
            if decisions.epoch == epoch:
                projected = project(space.spec, projected, decisions, weights, score_many)
        ...  # train for one epoch with `merge(projected, weights)` in the place of the relaxation's weights
    genotype = derive(space, projected)

The rules are those of the reference code (ruocwang/darts-pt, `sota/cnn/projection.py` and
`nasbench201/projection.py`).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.errors import UserError, unknown
from dnas.genotype import Genotype
from dnas.selection.top_edges import NONE, top_edges
from dnas.types import Group, Paths, SearchSpace, Selection, Spec, Weights

ScoreMany = Callable[[Weights], jax.Array]
"""Evaluates the supernet on validation data, with batch statistics as the reference does: from N candidates, the
weights `(N, edges, ops)` of every group, to N accuracies or losses."""
SIGNS = {"accuracy": 1.0, "loss": -1.0}
"""What a score may be, with the factor that makes larger mean better."""


class Round(NamedTuple):
    """What is decided at the start of one epoch; groups in the order of the space.

    Attributes:
        epoch: the epoch, from 0.
        edges: for a group, the edge whose operation is decided.
        nodes: for a group, the node whose incoming edges are decided.
    """

    epoch: int
    edges: Mapping[str, int]
    nodes: Mapping[str, int]


class Projected(NamedTuple):
    """What has been decided so far: arrays only, so that a checkpoint can hold it.

    Attributes:
        weights: for each group `(edges, ops)`: one-hot on an edge that is kept, zero on one that is removed.
        decided: for each group `(edges,)`: whether the edge's weights are those above.
    """

    weights: Mapping[str, np.ndarray]
    decided: Mapping[str, np.ndarray]


def schedule(spec: Spec, *, interval: int = 5, seed: int | None = 0) -> tuple[tuple[Round, ...], int]:
    """Return the rounds and the number of fine-tuning epochs.

    In each round each group decides one more edge; when all its edges have an operation, one more node that has more
    inputs than it keeps. On the DARTS cell these are 14 + 3 rounds in 81 epochs, the last one in the last epoch; on
    NAS-Bench-201, whose reference code fine-tunes one epoch less, 6 rounds in 25 epochs, at 0, 5, 10, 15, 20 and 24.

    Args:
        spec: the groups.
        interval: epochs from one round to the next, at least 1.
        seed: decides the order in which edges and nodes are taken, a random permutation of each; `None`: their own.

    Raises:
        UserError: if `interval` is less than 1.
    """
    if interval < 1:
        raise UserError(f"interval: expected at least 1 epoch between projections, got {interval}")
    rng = None if seed is None else np.random.default_rng(seed)
    edges = {name: _order(range(group.edges), rng) for name, group in spec.items()}
    nodes = {name: _order(_contested(group), rng) for name, group in spec.items()}
    count = max(len(edges[name]) + len(nodes[name]) for name in spec)
    epochs = max(1, interval * (count - 1) + any(nodes.values()))
    rounds = []
    for index in range(count):
        after = {name: index - len(edges[name]) for name in spec}
        rounds.append(
            Round(
                min(interval * index, epochs - 1),
                {name: edges[name][index] for name in spec if after[name] < 0},
                {name: nodes[name][after[name]] for name in spec if 0 <= after[name] < len(nodes[name])},
            )
        )
    return tuple(rounds), epochs


def check_criterion(criterion: str) -> None:
    """Raise `UserError` unless `criterion` is one of `SIGNS`."""
    if criterion not in SIGNS:
        raise unknown("criterion", criterion, SIGNS)


def start(spec: Spec) -> Projected:
    """Return the state in which nothing is decided."""
    return Projected(
        {name: np.zeros((group.edges, len(group.ops)), np.float32) for name, group in spec.items()},
        {name: np.zeros(group.edges, bool) for name, group in spec.items()},
    )


def merge(projected: Projected, weights: Weights) -> Weights:
    """Replace the rows of decided edges in `weights`; traceable, and no gradient reaches a decided edge's parameters.

    Raises:
        UserError: if `weights` are those of sampled paths instead of all operations.
    """
    merged = {}
    for name, rows in weights.items():
        if isinstance(rows, Paths):
            raise UserError(
                f"weights of {name!r}: expected those of all operations, got sampled paths; fine-tune with the "
                f"relaxation's expected weights"
            )
        merged[name] = jnp.where(projected.decided[name][:, None], projected.weights[name], rows)
    return merged


def project(
    spec: Spec,
    projected: Projected,
    decisions: Round,
    weights: Weights,
    score_many: ScoreMany,
    criterion: str = "accuracy",
) -> Projected:
    """Decide one round, group after group, each seeing what was decided before.

    Operations: of the candidates that each lack one operation of the edge (its weight is zero, the others are not
    scaled up), the worst shows the operation that matters most; equally bad ones: the first. Where edges compete
    `none` is no candidate, since it is never kept there.

    Edges: of the candidates that each lack one edge of the node, the worst ones show the edges to keep; equally bad
    ones: the first. The reference code evaluates again after every removal, but with the removed edges in place, so
    that one evaluation of each edge decides the same.

    Args:
        spec: the groups.
        projected: what has been decided.
        decisions: what is decided now.
        weights: the present operation weights `(edges, ops)` of each group, as the relaxation expects them.
        score_many: evaluates all candidates of one decision; `one_by_one` makes it from an evaluation of one.
        criterion: what `score_many` returns, `accuracy` or `loss`.

    Raises:
        UserError: if a score is not a finite number, or `criterion` is none of the two.
    """
    check_criterion(criterion)
    for name, edge in decisions.edges.items():
        group = spec[name]
        columns = [
            column
            for column, op in enumerate(group.ops)
            if (op != NONE or group.keep is None) and (group.allowed is None or group.allowed[edge][column])
        ]
        present = jax.device_get(merge(projected, weights))
        candidates = np.repeat(present[name][None], len(columns), axis=0)
        candidates[np.arange(len(columns)), edge, columns] = 0
        scores = SIGNS[criterion] * _scores(score_many, present, name, candidates)
        chosen = columns[int(np.argmin(scores))]
        projected = _settle(projected, name, edge, np.eye(len(group.ops), dtype=np.float32)[chosen])
    for name, node in decisions.nodes.items():
        group = spec[name]
        incoming = [edge for edge, _ in group.nodes[node]]
        present = jax.device_get(merge(projected, weights))
        candidates = np.repeat(present[name][None], len(incoming), axis=0)
        candidates[np.arange(len(incoming)), incoming] = 0
        scores = SIGNS[criterion] * _scores(score_many, present, name, candidates)
        for position in np.argsort(scores, kind="stable")[group.keep :]:
            projected = _settle(projected, name, incoming[position], np.zeros(len(group.ops), np.float32))
    return projected


def derive(space: SearchSpace, projected: Projected) -> Genotype:
    """Return the architecture that was decided.

    Raises:
        UserError: if an edge, or which edges a node keeps, is still undecided.
    """
    for name, group in space.spec.items():
        rows = projected.weights[name]
        open_edges = [edge for edge in range(group.edges) if not projected.decided[name][edge]]
        open_nodes = [
            node
            for node in _contested(group)
            if sum(bool(rows[edge].any()) for edge, _ in group.nodes[node]) != group.keep
        ]
        if open_edges or open_nodes:
            raise UserError(
                f"{name} cell: expected every edge and node decided, but edges {open_edges} and nodes {open_nodes} are "
                f"open; run the remaining rounds of the schedule"
            )
    return top_edges(space, projected.weights)  # type: ignore[arg-type]


def one_by_one(score: Callable[[Weights], float | jax.Array]) -> ScoreMany:
    """Return the `ScoreMany` that evaluates candidates one by one; `jax.vmap(score)` evaluates them together."""

    def score_many(candidates: Weights) -> jax.Array:
        count = len(next(iter(candidates.values())))
        return np.array(  # type: ignore[return-value]
            [float(score({name: rows[index] for name, rows in candidates.items()})) for index in range(count)]
        )

    return score_many


def perturbation(score_many: ScoreMany, *, criterion: str = "accuracy", seed: int | None = 0) -> Selection:
    """Return the selection that runs all rounds at once, without fine-tuning between them.

    Args:
        score_many: evaluates the candidates of one decision.
        criterion: what it returns, `accuracy` or `loss`.
        seed: the order of edges and nodes, as in `schedule`.
    """

    def select(space: SearchSpace, weights: Weights) -> Genotype:
        projected = start(space.spec)
        for decisions in schedule(space.spec, seed=seed)[0]:
            projected = project(space.spec, projected, decisions, weights, score_many, criterion)
        return derive(space, projected)

    return select


def _order(items: range | list[int], rng: np.random.Generator | None) -> list[int]:
    return list(items) if rng is None else [int(item) for item in rng.permutation(list(items))]


def _contested(group: Group) -> list[int]:
    """Return the nodes with more incoming edges than they keep."""
    if group.keep is None:
        return []
    return [node for node, incoming in enumerate(group.nodes) if len(incoming) > group.keep]


def _scores(score_many: ScoreMany, present: Weights, name: str, candidates: np.ndarray) -> np.ndarray:
    """Evaluate the candidates `(N, edges, ops)` for group `name`, with all other groups as they are."""
    count = len(candidates)
    stacked = {other: np.broadcast_to(rows, (count, *rows.shape)) for other, rows in present.items()}
    scores = np.asarray(score_many({**stacked, name: candidates}), np.float64)  # type: ignore[dict-item]
    if scores.shape != (count,) or not np.isfinite(scores).all():
        raise UserError(
            f"projection of the {name} cell: expected {count} finite scores, got {scores.tolist()}; check that the "
            f"search has not diverged"
        )
    return scores


def _settle(projected: Projected, name: str, edge: int, row: np.ndarray) -> Projected:
    weights, decided = projected.weights[name].copy(), projected.decided[name].copy()
    weights[edge], decided[edge] = row, True
    return Projected({**projected.weights, name: weights}, {**projected.decided, name: decided})
