"""Searches that train architectures one after another, replayed from a table, and what chance alone achieves.

They choose by validation accuracy after 12 epochs, pay the time of that training, and are judged by the test accuracy
of a full training, as in NATS-Bench (Dong et al., arXiv:2009.00437).
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from dnas.errors import UserError
from dnas.study.record import Band, Landmark
from dnas.table import Table

EPOCHS = 12
"""Length of the training that a replayed search pays for."""


class Trace(NamedTuple):
    """A replayed search, one entry for each training that its budget paid for.

    Attributes:
        cost: `(T,)` simulated seconds spent up to the end of each training, ascending.
        incumbent: `(T,)` row of the architecture with the best validation accuracy so far; of equals the first.
    """

    cost: np.ndarray
    incumbent: np.ndarray


def random_search(table: Table, dataset: str, rng: np.random.Generator, budget: float) -> Trace:
    """Train architectures drawn uniformly, with replacement, until the next one would exceed the budget.

    Args:
        table: the truth.
        dataset: what is trained on.
        rng: source of the draws.
        budget: simulated seconds.

    Raises:
        UserError: if the table has no validation accuracies or training times of 12 epochs on `dataset`.
    """
    costs, selection = table.costs(dataset, EPOCHS), table.scores(dataset, EPOCHS, "val")
    enough = int(max(budget, 0) / costs.min()) + 1
    return _trace(rng.integers(len(costs), size=enough), costs, selection, budget)


def regularised_evolution(
    table: Table, dataset: str, rng: np.random.Generator, budget: float, population: int = 10, sample: int = 3
) -> Trace:
    """Replay regularised (ageing) evolution (Real et al., arXiv:1802.01548) with the settings of NATS-Bench.

    A population of random architectures is trained. Then, again and again, the best of a sample of it, drawn with
    replacement, has a child with another operation on one edge, which is trained and takes the place of the oldest.

    Args:
        table: the truth.
        dataset: what is trained on.
        rng: source of the draws.
        budget: simulated seconds; nothing is trained that would exceed it.
        population: architectures alive.
        sample: draws among which the parent is the best.

    Raises:
        UserError: if the table has no validation accuracies or training times of 12 epochs on `dataset`, or its
            architectures differ in their edges.
    """
    costs, selection = table.costs(dataset, EPOCHS), table.scores(dataset, EPOCHS, "val")
    enough = int(max(budget, 0) / costs.min()) + 1
    trained = islice(_evolve(table.neighbours, selection, rng, population, sample), enough)
    rows: list[int] = []
    spent = 0.0
    for row in trained:
        rows.append(row)
        spent += costs[row]
        if spent > budget:
            break
    return _trace(np.array(rows), costs, selection, budget)


def _evolve(
    neighbours: np.ndarray, selection: np.ndarray, rng: np.random.Generator, population: int, sample: int
) -> Iterator[int]:
    """Yield the rows that evolution trains, without end."""
    alive = deque(rng.integers(len(selection), size=population).tolist(), maxlen=population)
    yield from tuple(alive)
    while True:
        parent = max((alive[i] for i in rng.integers(population, size=sample)), key=selection.__getitem__)
        children = neighbours[parent]
        children = children[children >= 0]
        # An architecture without neighbours, in a table of a few of a large space, is trained once more.
        child = int(children[rng.integers(len(children))]) if len(children) else parent
        # A full deque drops its oldest entry.
        alive.append(child)
        yield child


def _trace(rows: np.ndarray, costs: np.ndarray, selection: np.ndarray, budget: float) -> Trace:
    """Return the trace of a search that trains `rows` (N,) one after another, as far as the budget goes."""
    cost = np.cumsum(costs[rows])
    count = int(np.searchsorted(cost, budget, side="right"))
    found = selection[rows[:count]]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(found)[:-1]]) if count else found
    latest = np.maximum.accumulate(np.where(found > before, np.arange(count), 0))
    return Trace(cost[:count], rows[latest])


def expected_best(selection: np.ndarray, scores: np.ndarray, n: int) -> float:
    """Return the expected score of the best by `selection` of n architectures drawn uniformly with replacement.

    With F(v) the share of the space whose selection value is at most v, v is the largest of n draws with probability
    F(v)^n - F(v-)^n; architectures of equal value then share it equally.

    Args:
        selection: `(R,)` what is chosen by.
        scores: `(R,)` what counts.
        n: draws, at least 1.

    Raises:
        UserError: if `n` is less than 1.
    """
    if n < 1:
        raise UserError(f"expected best of {n}: expected at least 1 draw")
    values, group, counts = np.unique(selection, return_inverse=True, return_counts=True)
    mean = np.bincount(group.reshape(-1), weights=scores, minlength=len(values)) / counts
    at_most = np.concatenate([[0.0], np.cumsum(counts) / len(selection)])
    return float(np.sum(mean * np.diff(at_most**n)))


def band(name: str, traces: Sequence[Trace], scores: np.ndarray, grid: np.ndarray) -> Band:
    """Return mean and spread of a search's score over its repetitions.

    Until the first training is paid for, a search holds an architecture picked blindly, whose expected score is the
    mean of the space.

    Args:
        name: of the search.
        traces: its repetitions.
        scores: `(R,)` true accuracies.
        grid: `(T,)` simulated seconds, ascending.
    """
    held = _held(traces, scores, grid)
    low, high = np.quantile(held, [0.1, 0.9], axis=0)
    return Band(name, len(traces), grid, held.mean(axis=0), low, high)


def at_cost(traces: Sequence[Trace], scores: np.ndarray, cost: float) -> float:
    """Return the mean score over the repetitions once `cost` simulated seconds are spent, as `band` counts it."""
    return float(_held(traces, scores, np.array([cost])).mean())


def _held(traces: Sequence[Trace], scores: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the score of what each repetition holds at each cost, `(N, T)`."""
    blind = scores.mean()
    # Entry 0 is what is held before the first training ends.
    return np.stack(
        [
            np.concatenate([[blind], scores[one.incumbent]])[np.searchsorted(one.cost, grid, side="right")]
            for one in traces
        ]
    )


def landmarks(table: Table, dataset: str) -> tuple[Landmark, ...]:
    """Return what every score on `dataset` can be held against, whatever the space, the best first.

    The best of 10 and of 100 random architectures (expected values) are chosen by validation accuracy after 12 epochs
    and left out where the table has none.

    Raises:
        UserError: if the table has no test accuracies after 200 epochs on `dataset`.
    """
    scores = table.scores(dataset)
    found = [
        Landmark("optimum", float(scores.max())),
        Landmark("median of the space", float(np.median(scores))),
        Landmark("mean of the space", float(scores.mean())),
    ]
    if (dataset, EPOCHS, "val") in table.accuracies:
        selection = table.scores(dataset, EPOCHS, "val")
        found += [Landmark(f"best of {n} random", expected_best(selection, scores, n)) for n in (10, 100)]
    return tuple(sorted(found, key=lambda mark: -mark.score))
