"""Which networks a device cannot run, where no single operation on an edge is to blame.

A pattern has one word for each edge of a group: the operations that it is about, with spaces between them, or `*` for
anything. A network that has one of them on every such edge cannot be run.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from dnas.types import Weights

ANY = "*"
TRIALS = 20
"""How many covers are made, each in another order, of which the shortest is returned."""

Pattern = tuple[str, ...]
Patterns = Mapping[str, tuple[Pattern, ...]]
"""The patterns of each group."""


def matches(patterns: Patterns, ops: Mapping[str, Sequence[str]], chosen: Weights) -> bool:
    """Return whether a network matches one of the patterns.

    Args:
        patterns: those of each group, which may name operations that `ops` lacks.
        ops: the names of the columns of each group.
        chosen: `(edges, ops)` for each group, above 0 for what is on an edge (`dnas.selection.one_hot`).
    """
    for name, own in patterns.items():
        present = [{ops[name][int(column)] for column in np.flatnonzero(row)} for row in np.asarray(chosen[name])]
        if any(
            all(word == ANY or not there.isdisjoint(word.split()) for word, there in zip(pattern, present, strict=True))
            for pattern in own
        ):
            return True
    return False


def summarised(ops: Sequence[str], architectures: np.ndarray, supported: np.ndarray) -> tuple[Pattern, ...]:
    """Return few patterns that match the networks that are not supported, and no other.

    Each pattern is grown from one network that no pattern matches yet, an operation on an edge at a time, as long as it
    matches unsupported networks alone; then patterns that the others make superfluous are left out.

    Args:
        ops: names of the K operations.
        architectures: `(K ** E, E)` int, the operation on each of E edges, for all architectures of the group.
        supported: `(K ** E,)` bool.
    """
    count, edges = len(ops), architectures.shape[1]
    refused = np.zeros((count,) * edges, bool)
    refused[tuple(architectures.T)] = ~supported
    covers = (_cover(refused, np.random.default_rng(trial)) for trial in range(TRIALS))
    best = min(covers, key=len)
    words = [tuple(ANY if len(one) == count else " ".join(ops[op] for op in one) for one in cube) for cube in best]
    return tuple(sorted(words, key=lambda pattern: (-pattern.count(ANY), pattern)))


Cube = tuple[tuple[int, ...], ...]


def _cover(refused: np.ndarray, rng: np.random.Generator) -> list[Cube]:
    left, cubes = refused.copy(), []
    for network in rng.permutation(np.argwhere(refused)):
        if left[tuple(network)]:
            cubes.append(_grown(network, refused, rng))
            left[np.ix_(*cubes[-1])] = False
    times = np.zeros(refused.shape, int)
    for cube in cubes:
        times[np.ix_(*cube)] += 1
    needed = []
    for cube in sorted(cubes, key=lambda cube: int(np.prod([len(one) for one in cube]))):
        if (times[np.ix_(*cube)] > 1).all():
            times[np.ix_(*cube)] -= 1
        else:
            needed.append(cube)
    return needed


def _grown(network: np.ndarray, refused: np.ndarray, rng: np.random.Generator) -> Cube:
    cube: Cube = tuple((int(op),) for op in network)
    others = [(edge, op) for edge in range(len(cube)) for op in range(refused.shape[0]) if op != network[edge]]
    for edge, op in rng.permutation(others):
        wider = (*cube[:edge], tuple(sorted((*cube[edge], int(op)))), *cube[edge + 1 :])
        if refused[np.ix_(*wider)].all():
            cube = wider
    return cube
