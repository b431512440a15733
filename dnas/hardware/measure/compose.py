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

TRUST = 0.03
"""How much the calibration holds to the operations' own times: the weight of a factor's squared distance from 1, beside
the squared relative errors of the networks. A factor of 2 costs as much as one network that is off by a sixth."""


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
    # Factors are near 1; the rest is counted in shares of the networks' time.
    scale = np.where(expected > 0, 1.0, relative.mean(axis=0))
    scale[scale == 0] = 1.0
    holding = np.sqrt(TRUST) * np.eye(len(expected))
    found, _ = nnls(
        np.vstack([relative / scale, holding]), np.concatenate([np.ones(len(genotypes)), np.sqrt(TRUST) * expected])
    )
    shared, *rest = (found / scale).tolist()
    factors, edges = (dict(zip(ops, part, strict=True)) for part in (rest[: len(ops)], rest[len(ops) : 2 * len(ops)]))
    return Calibration(shared, factors, edges, rest[-2], rest[-1])


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
