"""A cost model: what every operation on every edge adds to what a network costs on a device."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dnas.costs import CostTable, cost
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.hardware.folded import folded
from dnas.hardware.live import live
from dnas.hardware.margins import Region, affordable, at, raised
from dnas.hardware.unsupported import Patterns, matches
from dnas.selection.one_hot import one_hot
from dnas.types import Spec

FITTED, MEASURED, ROOFLINE, EXACT = "fitted", "measured", "roofline", "exact"
KINDS = (FITTED, MEASURED, ROOFLINE, EXACT)

WRITTEN, LIVE, FOLDED = "written", "live", "folded"
EDGES: Mapping[str, Callable[[Spec, Genotype], Genotype]] = {
    WRITTEN: lambda spec, genotype: genotype,
    LIVE: live,
    FOLDED: folded,
}
"""What is left of an architecture where it is measured: all of it, the edges on which an output depends, or those and
what a converter folds (`dnas.hardware.folded`)."""

UNITS: Mapping[str, Mapping[str, float]] = {
    "latency": {"us": 1e-3, "ms": 1.0, "s": 1e3},
    "energy": {"uJ": 1e-3, "mJ": 1.0, "J": 1e3},
    "params": {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9},
    "macs": {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9},
    "memory": {"": 1.0, "B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30},
}
"""The metrics, and the units in which a user may give them, relative to the one in which tables are: latency in ms,
energy in mJ, parameters and multiply-adds as numbers, memory in bytes."""

TABLE_UNIT: Mapping[str, str] = {"latency": "ms", "energy": "mJ", "params": "", "macs": "", "memory": "B"}


class Quality(NamedTuple):
    """How well a model predicts networks on which it was not made.

    Attributes:
        networks: how many networks these numbers are of.
        spearman: rank correlation of predicted and true cost.
        kendall: the same, Kendall's tau.
        r2: coefficient of determination.
        mape: mean absolute percentage error, as a share.
        margins: by share of the networks (as text, `"0.95"`), the relative error that so many do not exceed upwards:
            their true cost is at most `(1 + margin)` times that predicted for all their edges (`CostModel.written`).
            May be negative.
        regions: the same for networks that are about as dear, the cheapest first; empty if they are too few.
    """

    networks: int
    spearman: float
    kendall: float
    r2: float
    mape: float
    margins: Mapping[str, float]
    regions: tuple[Region, ...] = ()


class CostModel(NamedTuple):
    """What networks of a space cost in one metric on one device; all kinds are additive tables.

    Attributes:
        name: the device, or `exact`.
        metric: one of `UNITS`; the table is in the unit of `TABLE_UNIT`.
        kind: one of `KINDS`.
        space: name of the space.
        ops: the names of the columns of each group.
        table: the fixed part (stem, reductions, head) and `(edges, ops)` for each group; NaN for an operation that the
            device cannot run on that edge.
        network: what the networks were otherwise, such as `{"channels": 16, "cells": 5, "classes": 10}`: arguments of
            the space's `build`, `classes`, and `image`, their (H, W, C).
        batch_size: images that go through a network at once; the cost is that of the whole batch.
        dtype: type of the computation.
        source: what it was made from, in a sentence.
        quality: its error; `None` where it was not measured.
        unsupported: patterns of networks that the device cannot run although it can run each of their operations
            elsewhere (`dnas.hardware.unsupported`).
        actual: `(genotype) -> cost` of the network itself, where it can be had without the device.
        edges: which edges of an architecture cost something, one of `EDGES`.
    """

    name: str
    metric: str
    kind: str
    space: str
    ops: Mapping[str, tuple[str, ...]]
    table: CostTable
    network: Mapping[str, Any]
    batch_size: int
    dtype: str
    source: str
    quality: Quality | None = None
    unsupported: Patterns | None = None
    actual: Callable[[Genotype], float] | None = None
    edges: str = WRITTEN

    @property
    def unit(self) -> str:
        """The unit of the table."""
        return TABLE_UNIT[self.metric]

    @property
    def title(self) -> str:
        """Name and metric, as `raspi4.latency`; the metric alone where no device matters."""
        return self.metric if self.kind == EXACT else f"{self.name}.{self.metric}"

    def fitting(self, space: str, spec: Spec) -> "CostModel":
        """Return the model with the columns of `spec`, which may offer fewer operations, in another order.

        Raises:
            UserError: if the space is another, or has groups, edges or operations that the model does not know.
        """
        if space != self.space or set(spec) != set(self.ops):
            raise UserError(
                f"the profile {self.name!r} is of the space {self.space!r} with the groups "
                f"{', '.join(sorted(self.ops))}, but the search is on {space!r} with {', '.join(sorted(spec))}: choose "
                f"a profile of this space, or make one with dnas profile --space {space}"
            )
        rows = {}
        for name, group in spec.items():
            lacking = [op for op in group.ops if op not in self.ops[name]]
            if lacking or len(self.table.rows[name]) != group.edges:
                what = f"the operation {lacking[0]!r}" if lacking else f"{group.edges} edges"
                raise UserError(
                    f"the profile {self.name!r} knows {len(self.table.rows[name])} edges of {name!r} with the "
                    f"operations {', '.join(self.ops[name])}, but the search has {what}: choose another profile, or "
                    f"make one with dnas profile"
                )
            rows[name] = self.table.rows[name][:, [self.ops[name].index(op) for op in group.ops]]
        ops = {name: tuple(group.ops) for name, group in spec.items()}
        return self._replace(ops=ops, table=CostTable(self.table.base, rows))

    def predict(self, spec: Spec, genotype: Genotype) -> float:
        """Return the predicted cost of an architecture; NaN if the device cannot run it.

        A network measured here is a compiled one, from which edges are left out that no output depends on.
        """
        if self._refuses(spec, genotype):
            return math.nan
        counted = EDGES[LIVE if self.kind == MEASURED else self.edges]
        return cost(self.table, spec, counted(spec, genotype))

    def written(self, spec: Spec, genotype: Genotype) -> float:
        """Return the predicted cost of all edges of an architecture; NaN if the device cannot run it.

        This is what limits count, since compilers do not always leave out what they could: where an edge is not
        needed, the same network with `none` there is the cheaper one.
        """
        return math.nan if self._refuses(spec, genotype) else cost(self.table, spec, genotype)

    def _refuses(self, spec: Spec, genotype: Genotype) -> bool:
        """Whether the device cannot run an architecture although it can run each of its operations elsewhere."""
        ops = {name: group.ops for name, group in spec.items()}
        return bool(self.unsupported) and matches(self.unsupported or {}, ops, one_hot(spec, genotype))

    def margin(self, confidence: float, limit: float | None = None) -> float:
        """Return by what share predictions are to be raised so that this share of networks costs no more.

        Margins are interpolated between those measured; 0 where none were measured, and for `confidence` 0.

        Args:
            confidence: share of networks.
            limit: what they may cost: the margin is then that of networks which are about as dear; `None`: of all.
        """
        if self.quality is None:
            return 0.0
        if limit is None or limit <= 0 or not self.quality.regions:
            return at(self.quality.margins, confidence)
        return limit / affordable(self.quality.regions, limit, confidence) - 1

    def raised(self, predicted: float, confidence: float) -> float:
        """Return the least limit within which a prediction is, with the margin that belongs to it."""
        if self.quality is None or not self.quality.regions or not math.isfinite(predicted):
            return predicted * (1 + self.margin(confidence))
        return raised(self.quality.regions, predicted, confidence)


class Profile(NamedTuple):
    """What is known of one device.

    Attributes:
        name: the device's short name, as in `--hardware raspi4`.
        device: what it is, in words.
        models: its cost models, of one or several spaces, metrics and data sets.
    """

    name: str
    device: str
    models: tuple[CostModel, ...]
