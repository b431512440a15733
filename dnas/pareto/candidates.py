"""Which architectures a front is made of: limits spread over the costs, the heaviest within each, and random ones."""

import math
from collections.abc import Callable, Sequence

import jax
import numpy as np

from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.hardware.model import CostModel
from dnas.selection.random import random_genotype
from dnas.selection.within import extremes, within
from dnas.types import SearchSpace, Weights

DRAWS = 1000
"""Random architectures of whose costs the quantiles are taken."""
BINS = 20
"""Equally wide intervals of cost from which random architectures are taken in turn."""

Price = Callable[[Genotype], float]
"""What an architecture costs; NaN where the device cannot run it."""


def price_of(space: SearchSpace, model: CostModel) -> Price:
    """Return the prediction of a model with the columns of `space`, as a function of the architecture."""
    return lambda genotype: model.predict(space.spec, genotype)


def spread_limits(space: SearchSpace, model: CostModel, count: int) -> tuple[float, ...]:
    """Return limits, ascending, from the cost of the cheapest network of the space to that of the dearest.

    Those between are quantiles of the costs of random architectures, so that each limit lets in as many architectures
    more as the one before. Equal ones, of costs with few values, are there once.

    Args:
        space: the space.
        model: costs, with the columns of the space.
        count: how many, at least 2.

    Raises:
        UserError: if the device can run no network of the space.
    """
    ends = extremes(space, model.table)
    rng, price = np.random.default_rng(0), price_of(space, model)
    costs = [cost for _ in range(DRAWS) if math.isfinite(cost := price(random_genotype(space, rng)))]
    if ends is None or not costs:
        raise UserError(f"{model.title}: {model.name} can run no network of {space.name}; choose another device")
    inner = np.quantile(costs, np.linspace(0, 1, count)[1:-1])
    limits = np.unique(np.clip([ends[0], *inner, ends[1]], *ends))
    return tuple(float(limit) for limit in limits)


def heaviest(
    space: SearchSpace, weights: Weights, model: CostModel, limits: Sequence[float], *, whole: SearchSpace | None = None
) -> list[tuple[float, Genotype]]:
    """Return, for each limit that some architecture keeps, the architecture of greatest weight that keeps it.

    Predictions count as they are, without a margin for the model's error, because they are the axis that the
    architectures are shown on. An architecture that several limits keep is there once, with the least of them.

    Args:
        space: the space that the weights are of.
        weights: operation weights `(edges, ops)` of each group.
        model: costs of networks of the space.
        limits: greatest costs, ascending, in the unit of the model's table.
        whole: the space before a search narrowed it, with the same columns; of it is what is kept where the narrowed
            space has nothing that is cheap enough.

    Returns:
        `(limit, architecture)` pairs, by limit.
    """
    weights = jax.device_get(weights)
    fitted = model.fitting(space.name, space.spec)
    spaces = [space]
    if whole is not None and {n: g.ops for n, g in whole.spec.items()} == {n: g.ops for n, g in space.spec.items()}:
        spaces.append(space._replace(spec=whole.spec))
    found: dict[Genotype, float] = {}
    for limit in limits:
        for own in spaces:
            price = price_of(own, fitted)
            kept = within(own, weights, [fitted.table], [limit], lambda one, price=price: math.isfinite(price(one)))  # type: ignore[misc]
            if kept is not None:
                found.setdefault(kept, limit)
                break
    return [(limit, genotype) for genotype, limit in found.items()]


def stratified(space: SearchSpace, price: Price, rng: np.random.Generator, count: int) -> list[Genotype]:
    """Draw different random architectures whose costs are spread over all that is offered.

    Of uniformly drawn architectures, few of which are very cheap or very dear, one is taken from each interval of cost
    in turn. The first of them, however many, are therefore spread too.

    Args:
        space: the space.
        price: costs; what has none is left out.
        rng: what draws.
        count: how many; fewer where the space has no more.
    """
    if not count:
        return []
    drawn: dict[Genotype, float] = {}
    for _ in range(max(DRAWS, 10 * count)):
        genotype = random_genotype(space, rng)
        if genotype not in drawn and math.isfinite(cost := price(genotype)):
            drawn[genotype] = cost
    genotypes, costs = list(drawn), np.array(list(drawn.values()))
    if not genotypes:
        return []
    bins = np.digitize(costs, np.linspace(costs.min(), costs.max(), BINS + 1)[1:-1])
    seen = np.zeros(BINS, int)
    turns = np.zeros(len(costs), int)
    for index, own in enumerate(bins):
        turns[index], seen[own] = seen[own], seen[own] + 1
    order = np.lexsort((rng.random(len(costs)), turns))
    return [genotypes[index] for index in order[:count]]
