"""What there is to tell of a front: its points, its numbers and where it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnas.genotype import Genotype
from dnas.pareto.front import Box, Measured

WEIGHTS, SUPERNET, RANDOM, TRUE = "weights", "supernet", "random", "true"
"""Where a point is from: the heaviest within a limit, the best as the search judges (by its supernet's accuracy, unless
it has another way), chance, the table."""
FOUND = (WEIGHTS, SUPERNET)
WORDS: Mapping[str, str] = {
    WEIGHTS: "heaviest within a limit",
    SUPERNET: "front as the search judges",
    RANDOM: "random",
    TRUE: "true front",
}


@dataclass(frozen=True)
class Point:
    """One architecture of a front.

    Attributes:
        kind: one of `WORDS`.
        genotype: the architecture.
        cost: predicted, in the unit of the front.
        seed: of the search that found it; `None` for the true front and for random ones that no supernet judged.
        draw: number of the random set that it belongs to.
        target: the limit that it was found for.
        supernet: accuracy with the weights of that search's supernet, a share.
        true: accuracy by the table, a share.
        on_front: whether none of its kind is better (found points of all seeds and both kinds are one kind).
        file: where the genotype lies in the front's directory; empty for what was not found.
    """

    kind: str
    genotype: Genotype
    cost: float
    seed: int | None = None
    draw: int | None = None
    target: float | None = None
    supernet: float | None = None
    true: float | None = None
    on_front: bool = False
    file: str = ""

    @property
    def accuracy(self) -> float:
        """The accuracy that counts: the true one, or the supernet's where there is no table."""
        value = self.supernet if self.true is None else self.true
        assert value is not None, "every point is judged"
        return value

    @property
    def found(self) -> bool:
        """Whether a search found it."""
        return self.kind in FOUND


@dataclass(frozen=True)
class Front:
    """A front and what it is held against.

    Attributes:
        name: of its directory.
        space: name of the search space.
        method: as the user wrote it.
        data: name of the data set that was searched on.
        seeds: those whose search ended.
        title: the cost, such as `raspi4.latency`.
        metric: its metric.
        measure: what an accuracy is, in words.
        judged: whether accuracies are true ones.
        targets: the limits.
        looks: architectures that the supernets looked at, of all seeds.
        points: all points, by kind and cost.
        measured: the numbers of the sets of points.
        box: in which they were measured.
        about: what the cost is of and how well it is known, as JSON values by name.
        settings: of the searches.
        command: to make it again.
        environment: in which it was made.
    """

    name: str
    space: str
    method: str
    data: str
    seeds: tuple[int, ...]
    title: str
    metric: str
    measure: str
    judged: bool
    targets: tuple[float, ...]
    looks: int
    points: tuple[Point, ...]
    measured: tuple[Measured, ...]
    box: Box
    about: Mapping[str, Any]
    settings: Mapping[str, Any]
    command: str
    environment: Mapping[str, Any]

    def of(self, *kinds: str) -> tuple[Point, ...]:
        """Return the points of some kinds, in their order."""
        return tuple(point for point in self.points if point.kind in kinds)

    @property
    def front(self) -> tuple[Point, ...]:
        """The found points that no found point is better than, by cost; each architecture once."""
        first: dict[Genotype, Point] = {}
        for point in sorted(self.of(*FOUND), key=lambda one: (one.cost, one.accuracy)):
            if point.on_front:
                first.setdefault(point.genotype, point)
        return tuple(first.values())


def plane(points: tuple[Point, ...] | list[Point]) -> np.ndarray:
    """Return points as `(N, 2)`, cost and accuracy."""
    return np.array([(point.cost, point.accuracy) for point in points], float).reshape(-1, 2)
