"""Tables fitted to measured networks as they were written, or as a compiler left them.

A compiler leaves out edges on which no output depends, or some of them (`dnas.hardware.live`, `dnas.hardware.folded`);
an analytical model of a device counts them. Which of these measurements are of is found by cross-validation. Spearman
correlations on HW-NAS-Bench by the way in which edges are counted: experiments/results/edges_hwnasbench/edges.txt.
Networks whose output does not depend on their input have no part in a fit: on some devices they take no time at all,
and no search keeps them.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dnas.costs import CostTable
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.hardware.fit import cross_validate, design, fit, predict, quality
from dnas.hardware.live import connected
from dnas.hardware.model import EDGES, WRITTEN, Quality
from dnas.types import Spec


class Networks(NamedTuple):
    """Architectures of a space as the rows that a table is fitted to.

    Attributes:
        spec: the groups of the space.
        edges: for each of `dnas.hardware.model.EDGES` `(N, P)`, what is left on each edge
            (`dnas.hardware.fit.design`).
        connected: `(N,)` bool, whether the output depends on the input.
    """

    spec: Spec
    edges: Mapping[str, np.ndarray]
    connected: np.ndarray

    def of(self, chosen: np.ndarray) -> "Networks":
        """Return those of the networks with these indices."""
        return Networks(self.spec, {name: own[chosen] for name, own in self.edges.items()}, self.connected[chosen])


class Fitted(NamedTuple):
    """A fitted table.

    Attributes:
        table: the table.
        edges: which edges cost something, one of `dnas.hardware.model.EDGES`.
        checked: the error of cross-validation on the networks of the fit; `None` if they are too few.
    """

    table: CostTable
    edges: str
    checked: Quality | None


def rows(spec: Spec, genotypes: Sequence[Genotype]) -> Networks:
    """Return architectures as rows; `UserError` if one is none of `spec`."""
    edges = {name: design(spec, [left(spec, one) for one in genotypes]) for name, left in EDGES.items()}
    return Networks(spec, edges, np.array([connected(spec, genotype) for genotype in genotypes], bool))


def fit_networks(own: Networks, costs: np.ndarray) -> Fitted:
    """Return the table of measured networks, with the edges that predict them best.

    Args:
        own: the networks; those whose output does not depend on their input are left out.
        costs: `(N,)` their costs.

    Raises:
        UserError: if there are fewer than the table has numbers.
    """
    own, costs = own.of(own.connected), costs[own.connected]
    checked = {name: _checked(own.spec, form, costs) for name, form in own.edges.items()}
    # Of equals the first: all edges as they are written.
    best = max(checked, key=lambda name: -np.inf if checked[name] is None else checked[name].r2)  # type: ignore[union-attr]
    return Fitted(fit(own.spec, own.edges[best], costs), best, checked[best])


def _checked(spec: Spec, architectures: np.ndarray, costs: np.ndarray) -> Quality | None:
    try:
        return cross_validate(spec, architectures, costs)
    except UserError:
        # Enough networks for the fit, but not without a fifth of them.
        return None


def error(own: Networks, costs: np.ndarray, found: Fitted) -> Quality:
    """Return how well a table predicts networks whose output depends on their input, as all have that a search keeps.

    Margins are relative to what all edges cost as they are written, which is what a limit counts: compilers do not
    always find what they could leave out.
    """
    own, costs = own.of(own.connected), costs[own.connected]
    whole = quality(costs, predict(own.spec, found.table, own.edges[found.edges]))
    written = quality(costs, predict(own.spec, found.table, own.edges[WRITTEN]))
    return whole._replace(margins=written.margins, regions=written.regions)
