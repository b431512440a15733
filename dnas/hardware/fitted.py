"""Tables fitted to measured networks as they were written, or as a compiler left them.

A compiler leaves out edges on which no output depends (`dnas.hardware.live`), an analytical model of a device counts
them. Which of the two measurements are of is found by cross-validation. On HW-NAS-Bench, CIFAR-10 latency, 200 networks
to fit, Spearman correlation on all others, with edges that count as written / as compiled:

    raspi4 0.93 / 0.96, pixel3 0.93 / 0.96, edgegpu 0.96 / 0.97, edgetpu 0.97 / 0.99,
    eyeriss 0.997 / 0.95, fpga 0.9995 / 0.95 (these two are estimates of a model)

and the tables of the measured devices then cost an operation much the same on all edges. Networks whose output does not
depend on their input have no part in a fit: on some devices they take no time at all, and no search keeps them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dnas.costs import CostTable
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.hardware.fit import cross_validate, design, fit, predict, quality
from dnas.hardware.live import connected, live
from dnas.hardware.model import Quality
from dnas.types import Spec


class Networks(NamedTuple):
    """Architectures of a space as the rows that a table is fitted to.

    Attributes:
        spec: the groups of the space.
        written: `(N, P)`, what is on each edge (`dnas.hardware.fit.design`).
        compiled: the same with `none` on edges that no output depends on.
        connected: `(N,)` bool, whether the output depends on the input.
    """

    spec: Spec
    written: np.ndarray
    compiled: np.ndarray
    connected: np.ndarray

    def of(self, chosen: np.ndarray) -> "Networks":
        """Return those of the networks with these indices."""
        return Networks(self.spec, self.written[chosen], self.compiled[chosen], self.connected[chosen])


class Fitted(NamedTuple):
    """A fitted table.

    Attributes:
        table: the table.
        compiled: whether edges that no output depends on cost nothing.
        checked: the error of cross-validation on the networks of the fit; `None` if they are too few.
    """

    table: CostTable
    compiled: bool
    checked: Quality | None


def rows(spec: Spec, genotypes: Sequence[Genotype]) -> Networks:
    """Return architectures as rows; `UserError` if one is none of `spec`."""
    written = design(spec, genotypes)
    compiled = design(spec, [live(spec, genotype) for genotype in genotypes])
    return Networks(spec, written, compiled, np.array([connected(spec, genotype) for genotype in genotypes], bool))


def fit_networks(own: Networks, costs: np.ndarray) -> Fitted:
    """Return the table of measured networks, of edges as written or as compiled, whichever predicts better.

    Args:
        own: the networks; those whose output does not depend on their input are left out.
        costs: `(N,)` their costs.

    Raises:
        UserError: if there are fewer than the table has numbers.
    """
    own, costs = own.of(own.connected), costs[own.connected]
    forms = [own.written] if np.array_equal(own.written, own.compiled) else [own.written, own.compiled]
    checked = [_checked(own.spec, form, costs) for form in forms]
    best = int(np.argmax([-np.inf if one is None else one.r2 for one in checked]))
    return Fitted(fit(own.spec, forms[best], costs), bool(best), checked[best])


def _checked(spec: Spec, architectures: np.ndarray, costs: np.ndarray) -> Quality | None:
    try:
        return cross_validate(spec, architectures, costs)
    except UserError:
        # Enough networks for the fit, but not without a fifth of them.
        return None


def error(own: Networks, costs: np.ndarray, found: Fitted) -> Quality:
    """Return how well a table predicts networks; margins are those of networks whose output depends on the input.

    Margins are relative to what all edges cost as they are written, which is what a limit counts: compilers do not
    always find what they could leave out.
    """
    predicted = predict(own.spec, found.table, own.compiled if found.compiled else own.written)
    whole = quality(costs, predicted)
    counted = own.of(own.connected)
    return whole._replace(
        margins=quality(costs[own.connected], predict(own.spec, found.table, counted.written)).margins
    )
