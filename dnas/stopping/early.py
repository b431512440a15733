"""Rules that end a search early, from what was seen at the end of each epoch.

By curvature: R-DARTS (Zela et al., arXiv:1909.09656); the details are those of the reference code
(automl/RobustDARTS, `EVLocalAvg` and its defaults). By skip connections and by ranking: DARTS+ (Liang et al.,
arXiv:1909.06035), of which only the abstract was at hand; the two criteria are recalled, the limit of two skip
connections is confirmed by DARTS- (arXiv:2009.01027, related work).
"""

from collections.abc import Sequence

import numpy as np

from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.types import Spec, Weights

PARAMETER_FREE = ("none", "skip_connect", "max_pool_3x3", "avg_pool_3x3", "noise")
"""Operations without trained weights."""


def curvature_rise(
    eigenvalues: Sequence[float],
    *,
    every: int = 2,
    window: int = 5,
    lag: int = 4,
    ratio: float = 1.3,
    earliest: int = 10,
) -> int | None:
    """Return the epoch whose architecture should be kept, if the latest measurement shows that the curvature has risen.

    Measurement i, taken after epoch `every * i`, has as local average the mean of the measurements from
    `i - window // 2` to `i + window // 2` (at the beginning, of those there are). The newest such average is compared
    with the one `lag` measurements before, and if their quotient exceeds `ratio`, the epoch of that earlier one is
    returned. An average that is not positive starts no rise, nor does one that is not a number.

    Args:
        eigenvalues: largest eigenvalues of the validation loss's Hessian, from epoch 0 on.
        every: epochs from one measurement to the next.
        window: measurements in a local average, an odd number.
        lag: measurements between the two averages.
        ratio: greatest quotient that is taken for noise.
        earliest: epochs before this one are never returned to.

    Raises:
        UserError: if `window` is not odd, or `every` or `lag` less than 1.
    """
    if window < 1 or window % 2 == 0:
        raise UserError(f"window: expected an odd number of measurements, got {window}")
    if min(every, lag) < 1:
        raise UserError(f"every and lag: expected at least 1, got {every} and {lag}")
    newest = len(eigenvalues) - 1 - window // 2
    earlier = newest - lag
    if earlier < 0 or every * earlier < earliest:
        return None
    now, then = (_local_average(eigenvalues, index, window) for index in (newest, earlier))
    return every * earlier if then > 0 and now / then > ratio else None


def skip_count(genotype: Genotype, group: str = "normal", op: str = "skip_connect") -> int:
    """Return how many edges of a cell carry `op`.

    Raises:
        UserError: if the architecture has no cell of that name.
    """
    cells = dict(genotype.cells)
    if group not in cells:
        raise UserError(f"group: the architecture has the cells {', '.join(cells)}, got {group!r}")
    return sum(edge.op == op for node in cells[group].nodes for edge in node)


def too_many_skips(genotype: Genotype, limit: int = 2, group: str = "normal") -> bool:
    """Whether the present architecture has `limit` or more skip connections in a cell (DARTS+, criterion 1)."""
    return skip_count(genotype, group) >= limit


def ranking_stable(spec: Spec, history: Sequence[Weights], epochs: int = 10) -> bool:
    """Whether no edge has changed the order of its operations for `epochs` epochs (DARTS+, criterion 1*).

    Compares the newest `epochs + 1` entries of `history`. Only operations with trained weights are ranked; a group
    that has fewer than two of them is ranked over all its operations. Equal weights: the lower column first.

    Args:
        spec: the groups.
        history: operation weights or architecture parameters `(edges, ops)` of each group, one entry an epoch.
        epochs: how long the order must have stood.

    Raises:
        UserError: if `epochs` is less than 1.
    """
    if epochs < 1:
        raise UserError(f"epochs: expected at least 1, got {epochs}")
    if len(history) <= epochs:
        return False
    for name, group in spec.items():
        trained = [column for column, op in enumerate(group.ops) if op not in PARAMETER_FREE]
        columns = trained if len(trained) > 1 else list(range(len(group.ops)))
        rows = np.stack([np.asarray(entry[name])[:, columns] for entry in history[-epochs - 1 :]])
        ranks = np.argsort(-rows, axis=-1, kind="stable")
        if (ranks != ranks[-1]).any():
            return False
    return True


def _local_average(values: Sequence[float], index: int, window: int) -> float:
    return float(np.mean(values[max(0, index - window // 2) : index + window // 2 + 1]))
