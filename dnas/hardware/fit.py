"""Additive cost models fitted to measurements of whole networks.

The cost of a network is taken to be `base + sum over edges of t[edge, op]`. Of the measured costs as shares of their
mean, the squared errors are minimised together with

    strength * sum over ops and edges of (t[edge, op] - mean over edges of t[edge, op])**2

(of tables that say the same, for the one where this is least), so that operations cost much the same on all edges
unless the measurements say otherwise, and an operation that was never measured on an edge costs there what it costs
elsewhere; all terms and the base are at least 0. `strength` is the one of `STRENGTHS` with the least squared error in
cross-validation on the networks of the fit.

What was tried on HW-NAS-Bench, CIFAR-10 latency, 200 networks to fit, Spearman correlation on all others, mean of 12
random choices of the 200, for raspi4 / pixel3 / edgegpu / edgetpu:

    this                                              0.9317 / 0.9308 / 0.9516 / 0.9704
    this, strength 1e-6                               0.9309 / 0.9302 / 0.9520 / 0.9701
    this, and `none` is the cheapest on each edge     0.9312 / 0.9303 / 0.9519 / 0.9701
    this, 200 networks that are spread evenly         0.9336 / 0.9337 / 0.9585 / 0.9690
    the base may be negative (least squares)          0.9357 / 0.9343 / 0.9498 / 0.9771
    that, towards each operation's mean, strength 3   0.9361 / 0.9348 / 0.9481 / 0.9768
    that, ridge of strength 10                        0.9330 / 0.9324 / 0.9467 / 0.9716
    that, Huber's loss at 2 deviations, strength 3    0.9326 / 0.9327 / 0.9597 / 0.9771
    least squares of all networks, no hold-out        0.9427 / 0.9426 / 0.9618 / 0.9802

A base below 0 would order networks a little better, but predict negative costs for small ones, against which no limit
and no relative error means anything. On fpga with 16x16 images the strength matters: 0.9932 without, 0.9943 with
cross-validation. All these numbers are of networks as they are written; which edges a compiler leaves out says more
(`dnas.hardware.fitted`). Where nothing leads from a network's input to its output, the cost is near 0 on raspi4 and
pixel3, as if nothing were computed. Such networks are few, but they make the mean percentage error there large.
"""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import block_diag
from scipy.optimize import nnls
from scipy.stats import kendalltau, spearmanr

from dnas.costs import CostTable, can_be_kept
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.hardware.margins import by_cost, measured
from dnas.hardware.model import Quality
from dnas.hardware.profile_file import significant
from dnas.selection.one_hot import one_hot
from dnas.types import Group, Spec

STRENGTHS = (1e-6, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""How strongly an operation's costs on different edges are drawn together, in networks."""
FOLDS = 5
TINY = 1e-12


def design(spec: Spec, genotypes: Sequence[Genotype]) -> np.ndarray:
    """Return `(N, P)` float64: what is on each edge of N architectures, over all groups' `(edges, ops)` in turn.

    Raises:
        UserError: if one is no architecture of `spec`.
    """
    rows = []
    for genotype in genotypes:
        chosen = one_hot(spec, genotype)
        rows.append(np.concatenate([np.ravel(chosen[name]) for name in spec]))
    return np.array(rows, np.float64).reshape(len(rows), -1)


def unknowns(spec: Spec) -> int:
    """Return how many numbers a fit determines, less those that measurements of whole networks leave free."""
    count = 1
    for group in spec.values():
        count += int(can_be_kept(group).sum()) - len(_always(group))
    return count


def fit(spec: Spec, architectures: np.ndarray, costs: np.ndarray, strengths: Sequence[float] = STRENGTHS) -> CostTable:
    """Return the additive table that fits measured networks best.

    Whole networks leave a constant free for each edge that is always kept, and for each node that always keeps equally
    many edges: there the cheapest entry is 0 and the rest is part of the base.

    Args:
        spec: the groups of the space.
        architectures: `(N, P)`, from `design`.
        costs: `(N,)`, each 0 or more, or NaN for a network that the device cannot run.
        strengths: those to choose from.

    Returns:
        The table; NaN for an operation on an edge that only networks have that the device cannot run.

    Raises:
        UserError: if fewer networks can be run than there are numbers to find.
    """
    ran = ~np.isnan(costs)
    if ran.sum() < unknowns(spec):
        raise UserError(
            f"{int(ran.sum())} measured networks cannot determine the {unknowns(spec)} numbers of the table: measure "
            f"at least {unknowns(spec)} networks, better twice as many"
        )
    features, targets = architectures[ran], costs[ran]
    strength = _best(spec, features, targets, strengths)
    base, terms = _solved(spec, features, targets, strength)
    never = (architectures[~ran] > 0).any(axis=0) & ~(features > 0).any(axis=0)
    terms[never] = np.nan
    return _canonical(spec, base, terms)


def predict(spec: Spec, table: CostTable, architectures: np.ndarray) -> np.ndarray:
    """Return `(N,)` predicted costs of the rows of a `design`; NaN where an operation cannot be run."""
    terms = np.concatenate([np.ravel(table.rows[name]) for name in spec])
    impossible = np.isnan(terms)
    costs = table.base + architectures @ np.where(impossible, 0.0, terms)
    return np.where((architectures[:, impossible] > 0).any(axis=1), np.nan, costs)


def cross_validate(spec: Spec, architectures: np.ndarray, costs: np.ndarray, folds: int = FOLDS) -> Quality:
    """Return the error on measured networks of tables that were each fitted without a part of them.

    Args:
        spec: the groups of the space.
        architectures: `(N, P)`, from `design`.
        costs: `(N,)`; networks that cannot be run (NaN) are left out.
        folds: into how many parts the networks are divided, in a fixed random order.

    Raises:
        UserError: if the networks do not suffice for a fit without one part.
    """
    ran = ~np.isnan(costs)
    features, targets = architectures[ran], costs[ran]
    predicted = np.empty(len(targets))
    for part in _parts(len(targets), folds):
        rest = np.setdiff1d(np.arange(len(targets)), part)
        predicted[part] = predict(spec, fit(spec, features[rest], targets[rest]), features[part])
    return quality(targets, predicted)


def quality(true: np.ndarray, predicted: np.ndarray) -> Quality:
    """Return how well costs `(N,)` were predicted; networks of which either is NaN are left out.

    A correlation that is not defined, since all costs are equal, is 0. The margin at a share q is the least measured
    `(true - predicted) / predicted` that at least a share q of the networks does not exceed.

    Raises:
        UserError: if fewer than two networks are left.
    """
    known = np.isfinite(true) & np.isfinite(predicted)
    true, predicted = true[known].astype(np.float64), predicted[known].astype(np.float64)
    if len(true) < 2:
        raise UserError(f"{len(true)} networks to measure the error on: keep at least 2 out of the fit")
    error, spread = true - predicted, np.sum((true - true.mean()) ** 2)
    constant = np.ptp(true) == 0 or np.ptp(predicted) == 0
    least = TINY * max(float(true.max()), TINY)
    return Quality(
        networks=len(true),
        spearman=0.0 if constant else float(spearmanr(true, predicted).statistic),
        kendall=0.0 if constant else float(kendalltau(true, predicted).statistic),
        r2=float(1 - np.sum(error**2) / spread) if spread else 0.0,
        mape=float(np.mean(np.abs(error) / np.maximum(true, TINY))),
        margins=measured(true, predicted, least),
        regions=by_cost(true, predicted, least),
    )


def _parts(count: int, folds: int) -> list[np.ndarray]:
    return np.array_split(np.random.default_rng(0).permutation(count), folds)


def _best(spec: Spec, features: np.ndarray, targets: np.ndarray, strengths: Sequence[float]) -> float:
    """Return the strength with the least squared error in cross-validation; of equals the first."""
    if len(strengths) == 1:
        return strengths[0]
    errors = np.zeros(len(strengths))
    for part in _parts(len(targets), FOLDS):
        rest = np.setdiff1d(np.arange(len(targets)), part)
        for index, strength in enumerate(strengths):
            base, terms = _solved(spec, features[rest], targets[rest], strength)
            errors[index] += np.sum((targets[part] - base - features[part] @ terms) ** 2)
    return strengths[int(np.argmin(errors))]


def _solved(spec: Spec, features: np.ndarray, targets: np.ndarray, strength: float) -> tuple[float, np.ndarray]:
    """Return base and terms `(P,)` at one strength; 0 for operations that cannot be kept."""
    found = np.concatenate([np.ravel(can_be_kept(group)) for group in spec.values()])
    scale = float(targets.mean()) or 1.0
    pulls = np.sqrt(strength) * block_diag(*(_pulls(group) for group in spec.values()))
    matrix = np.block([[np.ones((len(features), 1)), features[:, found]], [np.zeros((len(pulls), 1)), pulls]])
    solution, _ = nnls(matrix, np.concatenate([targets / scale, np.zeros(len(pulls))]))
    terms = np.zeros(features.shape[1])
    terms[found] = scale * solution[1:]
    return scale * float(solution[0]), terms


def _always(group: Group) -> list[tuple[list[int], int]]:
    """Return sets of edges of which every architecture keeps equally many, and how many.

    What all operations on such a set cost more can as well be part of the base.
    """
    if group.path:
        return []
    if group.keep is None:
        return [([edge], 1) for edge in range(group.edges)]
    return [([edge for edge, _ in node], min(group.keep, len(node))) for node in group.nodes]


def _pulls(group: Group) -> np.ndarray:
    """Return `(rows, terms)`: applied to what can be kept, how far it is from the mean of its operation over the edges.

    Distances are those that remain once the base has taken from each edge, or each node, what it may.
    """
    own = can_be_kept(group)
    edges, ops = np.nonzero(own)
    same = ops[:, None] == ops[None, :]
    pulls = np.eye(len(ops)) - same / same.sum(axis=1, keepdims=True)
    if free := _always(group):
        moved = pulls @ np.stack([np.isin(edges, members) for members, _ in free], axis=1).astype(np.float64)
        pulls = pulls - moved @ (np.linalg.pinv(moved) @ pulls)
    return pulls


def _canonical(spec: Spec, base: float, terms: np.ndarray) -> CostTable:
    """Move what is free into the base, so that equal models have equal tables, with as many digits as a file has."""
    rows, start = {}, 0
    for name, group in spec.items():
        own = can_be_kept(group)
        costs = terms[start : start + own.size].reshape(own.shape).copy()
        start += own.size
        for edges, times in _always(group):
            part = np.where(own[edges] & ~np.isnan(costs[edges]), costs[edges], np.inf)
            least = float(part.min())
            if np.isfinite(least):
                costs[edges] = np.where(own[edges], costs[edges] - least, 0.0)
                base += times * least
        rows[name] = np.vectorize(significant, otypes=[float])(costs)
    return CostTable(significant(base), rows)
