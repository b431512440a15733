"""Fronts in two objectives, a cost that should be small and an accuracy that should be great, measured by moocore.

Hypervolume: Zitzler and Thiele, *Multiobjective evolutionary algorithms: a comparative case study and the strength
Pareto approach* (1999). IGD+: Ishibuchi, Masuda, Tanigaki and Nojima, *Modified distance calculation in generational
distance and inverted generational distance* (2015). Both citations are recalled; the computations are the library's.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np

from dnas.errors import UserError

MAXIMISE = (False, True)


def library() -> ModuleType:
    """Return moocore; `UserError` where it is not installed."""
    try:
        import moocore
    except ImportError:
        raise UserError(
            "fronts are measured with moocore, which is not installed: install it with pip install 'dnas[pareto]'"
        ) from None
    return moocore


def nondominated(points: np.ndarray) -> np.ndarray:
    """Return which points are on the front, `(N,)` bool.

    A point is dominated by one that is no dearer and no less accurate, and better in one of the two. Of equal points
    all are on the front, or none.

    Args:
        points: `(N, 2)`, cost and accuracy.
    """
    if not len(points):
        return np.zeros(0, bool)
    return np.asarray(library().is_nondominated(np.asarray(points, float), maximise=MAXIMISE, keep_weakly=True), bool)


class Box(NamedTuple):
    """The part of the plane in which fronts are measured, from the ideal point to the reference point.

    Attributes:
        cheapest: least cost.
        dearest: cost of the reference point.
        best: greatest accuracy.
        worst: accuracy of the reference point.
    """

    cheapest: float
    dearest: float
    best: float
    worst: float

    def unit(self, points: np.ndarray) -> np.ndarray:
        """Return points `(N, 2)` as shares of the box, both to be small: the ideal point is (0, 0), the reference 1."""
        points = np.asarray(points, float).reshape(-1, 2)
        wide, high = (self.dearest - self.cheapest) or 1.0, (self.best - self.worst) or 1.0
        return np.stack([(points[:, 0] - self.cheapest) / wide, (self.best - points[:, 1]) / high], axis=1)


def box_of(points: np.ndarray) -> Box:
    """Return the smallest box that holds the points `(N, 2)`."""
    (cheapest, worst), (dearest, best) = np.min(points, axis=0), np.max(points, axis=0)
    return Box(float(cheapest), float(dearest), float(best), float(worst))


def hypervolume(points: np.ndarray, box: Box) -> float:
    """Return the share of the box that the points dominate, 0 for none; what lies outside of the box counts nothing.

    Args:
        points: `(N, 2)`, cost and accuracy.
        box: where its reference point and its unit are.
    """
    own = box.unit(points)
    inside = own[(own < 1).all(axis=1)]
    # A point that is better than the ideal one dominates no more than the whole box.
    return float(library().hypervolume(np.maximum(inside, 0.0), ref=[1.0, 1.0])) if len(inside) else 0.0


def distance(points: np.ndarray, front: np.ndarray, box: Box) -> float | None:
    """Return the mean distance (IGD+) from the points of a front to the nearest of `points`, in units of the box.

    Only what is lacking counts: a front's point is at distance 0 from what is no dearer and no less accurate.

    Args:
        points: `(N, 2)`, cost and accuracy; `None` is returned where there is none.
        front: `(M, 2)`, the front to come near to.
        box: the unit of either axis.
    """
    if not len(points):
        return None
    return float(library().igd_plus(box.unit(points), ref=box.unit(front)))


class Measured(NamedTuple):
    """How good a set of points is, or the mean of several sets.

    Attributes:
        name: which points.
        points: how many of them, in one set.
        sets: how many sets.
        hypervolume: share of the box.
        low: least hypervolume of the sets.
        high: greatest.
        relative: hypervolume as a share of the true front's; `None` where that is not known.
        distance: IGD+ to the true front.
    """

    name: str
    points: int
    sets: int
    hypervolume: float
    low: float
    high: float
    relative: float | None
    distance: float | None


def measure(name: str, sets: Sequence[np.ndarray], box: Box, front: np.ndarray | None) -> Measured:
    """Return what sets of points `(N, 2)` are worth on average, held against the true front where it is known."""
    volumes = [hypervolume(points, box) for points in sets]
    far = [] if front is None else [one for points in sets if (one := distance(points, front, box)) is not None]
    mean = float(np.mean(volumes))
    whole = None if front is None else hypervolume(front, box)
    return Measured(
        name,
        max(map(len, sets)),
        len(sets),
        mean,
        min(volumes),
        max(volumes),
        mean / whole if whole else None,
        float(np.mean(far)) if far else None,
    )
