"""When a search should end, go back or freeze a part of itself: one rule a file.

`curvature` and `operation_alignment` measure under `jit`; `early` and `adaptive` decide on the host from a history,
which `measured` keeps in a search's state; `freezing` is `operation_alignment` as parts of a search.
"""

from dnas.stopping.adaptive import Rollback, adaptive_weight_decay
from dnas.stopping.curvature import lanczos, power_iteration
from dnas.stopping.early import curvature_rise, ranking_stable, skip_count, too_many_skips
from dnas.stopping.measured import Measured, Measuring
from dnas.stopping.operation_alignment import Alignment

__all__ = [
    "Alignment",
    "Measured",
    "Measuring",
    "Rollback",
    "adaptive_weight_decay",
    "curvature_rise",
    "lanczos",
    "power_iteration",
    "ranking_stable",
    "skip_count",
    "too_many_skips",
]
