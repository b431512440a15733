"""How operations' own times make up a network's: what composing them costs is calibrated on a few whole networks."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from dnas.costs import CostTable
from dnas.genotype import Genotype
from dnas.hardware.live import live
from dnas.selection.one_hot import one_hot
from dnas.selection.top_edges import NONE
from dnas.types import Spec

TRUSTS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""How much a calibration may hold to the operations' own times: the weight of a factor's squared distance from 1,
beside the squared relative errors of the networks. At 0.03 a factor of 2 costs as much as one network that is off by a
sixth. Noisy times and few networks need more of it, operations that behave otherwise inside networks less."""
FOLDS = 5
"""Parts of the networks, each of which is predicted by a calibration on the others to choose the trust."""


class Calibration(NamedTuple):
    """What turns times of operations alone into their share of a network's time; all numbers are 0 or more.

    Attributes:
        shared: factor of what all networks have.
        factors: by operation, the factor of its own time: other contents of the caches, threads that are shared.
        edges: by operation, milliseconds of an edge beside that, such as the sum at the node.
        element: milliseconds for each number that an operation returns, which the node reads again.
        fixed: milliseconds of every call, such as its dispatch.
    """

    shared: float
    factors: Mapping[str, float]
    edges: Mapping[str, float]
    element: float
    fixed: float


def calibrate(
    spec: Spec, genotypes: Sequence[Genotype], milliseconds: Sequence[float], times: CostTable, elements: CostTable
) -> Calibration:
    """Fit a calibration to measured networks: non-negative least squares of the relative errors.

    It is held to the operations' own times as much as left-out networks allow: by the greatest of `TRUSTS` whose error
    on them is within one standard error of the least (Breiman et al., Classification and Regression Trees, 1984).

    Args:
        spec: the groups.
        genotypes: the networks' architectures.
        milliseconds: of a call of each.
        times: the operations' own times.
        elements: how many numbers operations return.
    """
    ops = _names(spec)
    design = np.array([_row(spec, ops, live(spec, genotype), times, elements) for genotype in genotypes])
    relative = design / np.asarray(milliseconds, float)[:, None]
    expected = np.concatenate([np.ones(1 + len(ops)), np.zeros(len(ops) + 2)])
    shared, *rest = _solved(relative, expected, _trust(relative, expected)).tolist()
    factors, edges = (dict(zip(ops, part, strict=True)) for part in (rest[: len(ops)], rest[len(ops) : 2 * len(ops)]))
    return Calibration(shared, factors, edges, rest[-2], rest[-1])


def _solved(relative: np.ndarray, expected: np.ndarray, trust: float) -> np.ndarray:
    """Return the numbers with which rows of shares of networks' times add up to about 1, and are about as expected."""
    # Factors are near 1; the rest is counted in shares of the networks' time.
    scale = np.where(expected > 0, 1.0, relative.mean(axis=0))
    scale[scale == 0] = 1.0
    found, _ = nnls(
        np.vstack([relative / scale, np.sqrt(trust) * np.eye(len(expected))]),
        np.concatenate([np.ones(len(relative)), np.sqrt(trust) * expected]),
    )
    return np.asarray(found / scale)


def _trust(relative: np.ndarray, expected: np.ndarray) -> float:
    """Return the greatest of `TRUSTS` whose error on left-out networks is hardly worse than the least."""
    errors = {one: _left_out_errors(relative, expected, one) for one in TRUSTS}
    least = min(errors.values(), key=np.mean)
    allowed = least.mean() + least.std(ddof=1) / np.sqrt(len(least))
    return max(one for one, own in errors.items() if own.mean() <= allowed)


def _left_out_errors(relative: np.ndarray, expected: np.ndarray, trust: float) -> np.ndarray:
    """Return the squared relative error of each network, predicted by a calibration on those of other folds."""
    folds = np.arange(len(relative)) % min(FOLDS, len(relative))
    errors = np.empty(len(relative))
    for fold in range(int(folds.max()) + 1):
        out = folds == fold
        errors[out] = (relative[out] @ _solved(relative[~out], expected, trust) - 1) ** 2
    return errors


def composed(spec: Spec, calibration: Calibration, times: CostTable, elements: CostTable) -> CostTable:
    """Return the table of what operations cost as parts of networks, in milliseconds."""
    rows = {}
    for name, group in spec.items():
        factors, edges = (np.array([one[op] for op in group.ops]) for one in (calibration.factors, calibration.edges))
        own = times.rows[name] * factors + elements.rows[name] * calibration.element
        rows[name] = own + edges * [op != NONE for op in group.ops]
    return CostTable(calibration.shared * times.base + calibration.fixed, rows)


def _names(spec: Spec) -> tuple[str, ...]:
    return tuple(dict.fromkeys(op for group in spec.values() for op in group.ops))


def _row(spec: Spec, ops: tuple[str, ...], genotype: Genotype, times: CostTable, elements: CostTable) -> list[float]:
    """Return what each number of a calibration is multiplied by in a network."""
    own, count = dict.fromkeys(ops, 0.0), dict.fromkeys(ops, 0.0)
    returned = 0.0
    for name, chosen in one_hot(spec, genotype).items():
        returned += float(np.sum(chosen * elements.rows[name]))
        for column, op in enumerate(spec[name].ops):
            own[op] += float(np.sum(chosen[:, column] * times.rows[name][:, column]))
            count[op] += float(np.sum(chosen[:, column])) * (op != NONE)
    return [times.base, *own.values(), *count.values(), returned, 1.0]
