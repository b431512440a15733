"""A search space whose searches pay for what architectures cost, and keep one that is within the limits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas.costs import CostTable, cost
from dnas.errors import UserError, unknown
from dnas.genotype import Genotype
from dnas.hardware.expected import chances, derived, mixed
from dnas.hardware.limits import Limit, amount
from dnas.hardware.live import connected
from dnas.hardware.model import CostModel
from dnas.selection.within import SLACK, cheapest, within
from dnas.types import Array, Charge, Penalty, SearchSpace, Spec, Weights

EXPECTED: Mapping[str, Callable[[Spec, Weights], Weights]] = {
    "derived": derived,
    "kept": chances,
    "mixed": lambda spec, weights: weights,
}

ROUNDS = 50
"""How often a table that says too little is asked for something cheaper."""


def charged(
    space: SearchSpace,
    models: Sequence[CostModel],
    limits: Sequence[Limit],
    penalty: Penalty,
    *,
    expected: str = "kept",
    confidence: float = 0.95,
) -> SearchSpace:
    """Return the space with a charge: every search on it, and on what it is rebuilt as, is held to the limits.

    The outer level minimises the penalty of the expected costs, and the architecture that is kept is the selected one
    if it is within all limits, else the best that is (`dnas.selection.within`); on a space that a search has narrowed,
    from which the limits cannot be kept any more, the best of the whole space.

    A network whose output does not depend on its input (`none` on every path) costs least and is never kept, where
    there is another within the limits.

    Predictions count as raised by each model's margin (`CostModel.margin`), so that the true cost of what is kept is
    within the limit with the given confidence. Where a model can say what a network itself costs (`CostModel.actual`),
    as all counted and estimated ones can, the kept one is held to that: where costs do not add up over decisions, as of
    choices inside of others or in a repeated block, the table only leads the search. An operation that a device cannot
    run is never kept; in the expected costs it counts as the dearest on its edge.

    Args:
        space: the space.
        models: cost models of networks of the space.
        limits: greatest affordable costs, as `read_limits` gives them for these models.
        penalty: a member of `dnas.objectives`, made with the values of the same limits in the same order.
        expected: what costs are counted of: `derived`, the network that would be derived now, `kept`, the networks
            that would be derived if operations were drawn by their weights, or `mixed`, the mixture
            (`dnas.hardware.expected`).
        confidence: share of networks whose true cost a raised prediction covers; 0 takes predictions as they are.

    Raises:
        UserError: if no architecture of the space is within a limit, or within all of them together; for models of
            another space, or settings out of their range.
    """
    if expected not in EXPECTED:
        raise unknown("expectation of costs", expected, EXPECTED)
    if not 0 <= confidence < 1:
        raise UserError(f"confidence is {confidence:g}: choose a share of networks from 0 to less than 1")
    held = _held(space, models, limits, confidence)
    jax.eval_shape(penalty.total, jnp.zeros(()), jnp.ones(len(limits)), penalty.init())
    filled = [_filled(table) for table in held.tables]

    def costs(weights: Weights) -> Array:
        counted = EXPECTED[expected](space.spec, weights)
        return jnp.stack([mixed(table, counted) for table in filled])

    def living(genotype: Genotype) -> bool:
        return connected(space.spec, genotype) and held.runs(genotype)

    def keep(own: SearchSpace, weights: Weights, genotype: Genotype) -> Genotype:
        if held.fits(genotype) and living(genotype):
            return genotype
        whole = own._replace(spec=space.spec)
        return (
            held.best(own, weights, living)
            or held.best(whole, weights, living)
            or held.best(whole, weights, held.runs)
            or held.some
        )

    def rebuild(**changes: Any) -> SearchSpace:
        other = space.rebuild(**changes)
        return charged(other, models, limits, penalty, expected=expected, confidence=confidence)

    return space._replace(charge=Charge(costs, penalty, keep), rebuild=rebuild)


@dataclass(frozen=True)
class _Held:
    """What a search is held to.

    Attributes:
        spec: the groups of the whole space.
        models: the cost model of each limit.
        tables: their costs, raised by their margins.
        values: the limits.
        some: an architecture that keeps them.
    """

    spec: Spec
    models: tuple[CostModel, ...]
    tables: tuple[CostTable, ...]
    values: tuple[float, ...]
    some: Genotype = field(default_factory=lambda: Genotype("", ()))

    def runs(self, genotype: Genotype) -> bool:
        """Whether all the devices can run an architecture."""
        return not any(np.isnan(model.predict(self.spec, genotype)) for model in self.models)

    def costs(self, genotype: Genotype) -> tuple[float, ...]:
        """Return what counts against the limits: the network's own cost where that is known, else the raised one."""
        return tuple(
            model.actual(genotype) if model.actual else cost(table, self.spec, genotype)
            for model, table in zip(self.models, self.tables, strict=True)
        )

    def fits(self, genotype: Genotype) -> bool:
        """Whether an architecture can be run and is within all limits."""
        return all(own <= limit * (1 + SLACK) for own, limit in zip(self.costs(genotype), self.values, strict=True))

    def best(self, space: SearchSpace, weights: Weights, runs: Callable[[Genotype], bool]) -> Genotype | None:
        """Return the heaviest architecture that keeps the limits, as far as tables find it; `None` where none is found.

        Where a network costs more than its table says, the table is asked for one that costs less by as much.
        """
        asked = self.values
        for _ in range(ROUNDS):
            found = within(space, weights, self.tables, asked, runs)
            if found is None or self.fits(found):
                return found
            told = (cost(table, self.spec, found) for table in self.tables)
            asked = tuple(
                said - (own - limit) if own > limit * (1 + SLACK) else before
                for said, own, limit, before in zip(told, self.costs(found), self.values, asked, strict=True)
            )
        return None


def _held(space: SearchSpace, models: Sequence[CostModel], limits: Sequence[Limit], confidence: float) -> _Held:
    """Return the raised tables and limits, of which it is known that some architecture keeps them."""
    if not limits:
        raise UserError("no limit is given: write one, such as latency=12ms, or search without hardware")
    fitted = [models[limit.model].fitting(space.name, space.spec) for limit in limits]
    tables = []
    for limit, model in zip(limits, fitted, strict=True):
        # A network whose own cost is known needs no margin.
        margin = 0.0 if model.actual else model.margin(confidence, limit.value)
        table = model.table.scaled(1 + margin)
        _check_reachable(space, model, limit, 0.0 if model.actual else confidence)
        tables.append(table)
    held = _Held(space.spec, tuple(fitted), tuple(tables), tuple(limit.value for limit in limits))
    even = {name: np.zeros((group.edges, len(group.ops)), np.float32) for name, group in space.spec.items()}
    some = held.best(space, even, held.runs)  # type: ignore[arg-type]
    # What the tables count too dear may be affordable all the same.
    least = (cheapest(space, table) for table in tables)
    some = some or next((one for one in least if one is not None and held.runs(one) and held.fits(one)), None)
    if some is None:
        asked = ", ".join(
            f"{limit.title} of at most {amount(limit.value, models[limit.model].metric)}" for limit in limits
        )
        raise UserError(
            f"{asked}: networks of {space.name} can keep each of these limits, but none keeps all of them; raise one"
        )
    return replace(held, some=some)


def _check_reachable(space: SearchSpace, model: CostModel, limit: Limit, confidence: float) -> None:
    ends = [cheapest(space, one) for one in (model.table, model.table.scaled(-1.0))]
    if any(end is None for end in ends):
        raise UserError(
            f"{limit.title}: {model.name} can run no network of {space.name}; choose another device, or other space.ops"
        )
    plain = [
        model.actual(end) if model.actual else cost(model.table, space.spec, end) for end in ends if end is not None
    ]
    # Each end with its own margin, since cheap networks are said worse than dear ones.
    costs = [model.raised(one, confidence) for one in plain]
    if costs[0] <= limit.value * (1 + SLACK):
        return
    least, most = (amount(end, model.metric) for end in costs)
    margin = costs[0] / plain[0] - 1 if plain[0] > 0 else 0.0
    raised = (
        f", of the least {100 * margin:.3g} % being the margin for {100 * confidence:g} % confidence" if margin else ""
    )
    raise UserError(
        f"{limit.title} of at most {amount(limit.value, model.metric)}: networks of {space.name} are predicted to need "
        f"from {least} to {most}{raised}; choose a limit in this range"
        + (", or a lower confidence" if margin > 0 else "")
    )


def _filled(table: CostTable) -> CostTable:
    """Return the table in which what cannot be run costs as much as the dearest on its edge, or of its group."""
    rows = {}
    for name, own in table.rows.items():
        known = np.where(np.isfinite(own), own, -np.inf)
        dearest = known.max(axis=-1, keepdims=True)
        dearest = np.where(np.isfinite(dearest), dearest, max(known.max(), 0.0))
        rows[name] = np.where(np.isfinite(own), own, dearest)
    return CostTable(table.base, rows)
