"""An accuracy axis on which both a collapse and tenths of a percent near the top can be seen."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

STEPS = (500, 100, 50, 10, 5, 1)
"""Distances between ticks in thousandths, roundest first."""
ROUND = 0.55
"""How round a tick must be: the least step that it is a multiple of, in units of the distance between ticks there."""
LEAST_ERROR = 0.002
"""An accuracy nearer to 1 would push all others to the far end of a logarithmic axis."""


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`, shares; logarithmic in the error, 1 minus accuracy, if `log`."""

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return where `value` stands: 0 at `low`, 1 at `high`, kept between."""
        start, end = self._bend(self.low), self._bend(self.high)
        return min(1.0, max(0.0, (self._bend(min(value, self.high)) - start) / (end - start)))

    def value(self, place: float) -> float:
        """Return the value that stands at `place`."""
        start, end = self._bend(self.low), self._bend(self.high)
        bent = start + place * (end - start)
        return 1 - math.exp(-bent) if self.log else bent

    def ticks(self, gap: float) -> list[float]:
        """Return round values, ascending, whose places are at least `gap` apart, the roundest first served.

        Values less round than the distance between ticks around them, such as 83 between 80 and 90, are left out.
        """
        chosen: list[float] = []
        for step in STEPS:
            for count in range(math.floor(1000 * self.high / step + 1e-6), -1, -1):
                value = count * step / 1000
                if value < self.low - 1e-9:
                    break
                near = self.value(self.place(value) + gap / 2) - self.value(self.place(value) - gap / 2)
                if step / 1000 >= ROUND * near and all(
                    abs(self.place(value) - self.place(one)) >= gap for one in chosen
                ):
                    chosen.append(value)
        return sorted(chosen)

    def _bend(self, value: float) -> float:
        return -math.log(1 - value) if self.log else value


def scale_of(values: Iterable[float], *, log: bool = True) -> Scale:
    """Return a scale that holds `values` with a little room; logarithmic where asked for and where 1 is not near."""
    known = list(values)
    low, high = min(known, default=0.0), max(known, default=1.0)
    if high - low < 0.005:
        low, high = max(0.0, low - 0.005), min(1.0, high + 0.005)
    if log and 1 - high >= LEAST_ERROR:
        room = 0.03 * math.log((1 - low) / (1 - high))
        return Scale(max(0.0, 1 - (1 - low) * math.exp(room)), 1 - (1 - high) * math.exp(-room), True)
    room = 0.04 * (high - low)
    return Scale(max(0.0, low - room), min(1.0, high + room))


def tick_label(value: float) -> str:
    """Return a tick in percent without the sign: "94", "94.5"."""
    return f"{100 * value:.1f}".removesuffix(".0")
