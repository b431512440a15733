"""Taking out how fast the machine was: its speed swings while programs are timed, for all of them alike.

On processors that are shared with other work, or change their frequency, the same program takes now one time and now
twice as long, for stretches of a second or so. Programs that run in turn, in an order drawn anew for each round, meet
these stretches at random; and whatever runs right before and after a program tells how fast the machine then was.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

REACH = 2
"""Measurements on either side that say how fast the machine was."""
PASSES = 6
"""Times that programs' medians and the drift are found from each other; it has settled by then."""
SWING = (0.05, 0.95)


class Steady(NamedTuple):
    """Times without drift.

    Attributes:
        seconds: of each measurement, as on a machine of its usual speed, in the order in which they were taken.
        swing: by what factor the machine was slower in its slow stretches (95th percentile) than in its fast (5th).
    """

    seconds: np.ndarray
    swing: float


def steady(which: Sequence[int], seconds: Sequence[float]) -> Steady:
    """Divide measurements by the machine's speed at the time.

    Logarithms of times are taken for sums of the program's own and a drift, which is the median of what the `REACH`
    measurements on either side exceed their own programs' medians by. The median drift is none.

    Args:
        which: number of the program of each measurement, in the order in which they were taken.
        seconds: what it took.
    """
    own, logs = np.asarray(which), np.log(np.asarray(seconds, float))
    drift = np.zeros_like(logs)
    for _ in range(PASSES if len(logs) > 2 * REACH else 0):
        excess = np.empty_like(logs)
        for program in np.unique(own):
            mine = own == program
            excess[mine] = logs[mine] - np.median(logs[mine] - drift[mine])
        padded = np.pad(excess, REACH, mode="reflect")
        around = [
            padded[REACH + step : len(padded) - REACH + step] for step in (*range(-REACH, 0), *range(1, REACH + 1))
        ]
        drift = np.median(around, axis=0)
        drift -= np.median(drift)
    slow, fast = np.quantile(drift, SWING[::-1])
    return Steady(np.exp(logs - drift), float(np.exp(slow - fast)))
