"""By how much predictions are to be raised, so that few networks cost more: margins by how dear a network is.

Relative errors differ between cheap networks and dear ones; one margin for all promises too little of the ones and
wastes what the others could have. Regions are narrow, because a search within a limit takes what lies right below it:
experiments/edges_hwnasbench.py prints how many of those networks are over five limits of HW-NAS-Bench's devices. And a
wide region in which errors fall with the cost would charge its dearest networks for the errors of its cheapest: with 30
regions raspi4's networks of 20 ms paid for those of 17 ms, and a fifth of what keeps 26 ms was out of reach.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

SHARES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Shares of networks at which margins are measured."""
MOST, LEAST = 100, 100
"""Most regions, and about the fewest networks in one."""
SAME = 1e-4
"""Relative difference up to which predictions count as the same."""

Margins = Mapping[str, float]
"""By share of the networks (as text, `"0.95"`), the relative error that so many do not exceed upwards."""


class Region(NamedTuple):
    """Networks that are about as dear.

    Attributes:
        upto: the largest prediction among them.
        margins: theirs.
    """

    upto: float
    margins: Margins


def measured(true: np.ndarray, predicted: np.ndarray, least: float) -> Margins:
    """Return the margins of networks whose costs `(N,)` were predicted.

    Args:
        true: what they cost.
        predicted: what was said.
        least: what a prediction counts as at least, so that none is divided by 0.
    """
    excess = (true - predicted) / np.maximum(predicted, least)
    return {str(share): float(np.quantile(excess, share, method="higher")) for share in SHARES}


def by_cost(true: np.ndarray, predicted: np.ndarray, least: float) -> tuple[Region, ...]:
    """Return the margins of as many regions as there are networks for, the cheapest first; none for too few networks.

    Args:
        true: costs `(N,)`.
        predicted: what was said of them.
        least: as in `measured`.
    """
    count = min(MOST, len(true) // LEAST)
    if count < 2:
        return ()
    # Networks of which the same is said, or nearly, are in one region.
    ends = np.quantile(predicted, np.linspace(0, 1, count + 1)[1:], method="higher")
    ends = _filled(ends[np.diff(ends, append=np.inf) > SAME * np.abs(ends)] * (1 + SAME), predicted)
    places = np.searchsorted(ends, predicted)
    return tuple(
        Region(float(end), measured(true[places == place], predicted[places == place], least))
        for place, end in enumerate(ends)
    )


def _filled(ends: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the ends of regions that have networks enough: smaller ones join the next, the last one the one before."""
    while len(ends) > 1:
        counts = np.bincount(np.searchsorted(ends, predicted), minlength=len(ends))
        small = np.flatnonzero(counts < LEAST // 2)
        if not small.size:
            break
        ends = np.delete(ends, min(int(small[0]), len(ends) - 2))
    return ends


def at(margins: Margins, confidence: float) -> float:
    """Return the margin at a share of networks, interpolated; 0 where none were measured, and for `confidence` 0."""
    known = sorted((float(share), value) for share, value in margins.items())
    if not known or not confidence:
        return 0.0
    shares, values = zip(*known, strict=True)
    return float(np.interp(confidence, shares, values))


def affordable(regions: tuple[Region, ...], limit: float, confidence: float) -> float:
    """Return the largest prediction such that it and all smaller ones, raised, are within a limit."""
    begin = 0.0
    for end, margin in _ends(regions, confidence):
        if (reached := limit / (1 + margin)) < end:
            return max(begin, reached)
        begin = end
    return begin


def raised(regions: tuple[Region, ...], predicted: float, confidence: float) -> float:
    """Return the least limit within which a prediction is affordable."""
    found = 0.0
    for end, margin in _ends(regions, confidence):
        found = max(found, min(end, predicted) * (1 + margin))
        if predicted <= end:
            break
    return found


def _ends(regions: tuple[Region, ...], confidence: float) -> list[tuple[float, float]]:
    """Return where each region ends, the last one nowhere, and its margin."""
    ends = [*(region.upto for region in regions[:-1]), math.inf]
    return [(end, at(region.margins, confidence)) for end, region in zip(ends, regions, strict=True)]
