"""From finished searches to the points of a front and its numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from dnas.genotype import Genotype
from dnas.hardware.model import CostModel
from dnas.pareto.candidates import heaviest, price_of, stratified
from dnas.pareto.front import Box, Measured, box_of, measure, nondominated
from dnas.pareto.record import FOUND, RANDOM, SUPERNET, TRUE, WEIGHTS, Point, plane
from dnas.pareto.score import supernet_accuracies
from dnas.pareto.search import Seed
from dnas.run import pipeline
from dnas.run.directory import RunDirectory
from dnas.run.interrupt import Stop
from dnas.study.judge import Judge
from dnas.study.ranking import representable
from dnas.types import SearchSpace

SETS = 10
"""Random sets that each set of found points is held against."""
FOLDER = "genotypes"


def looked_at(
    seed: Seed, model: CostModel, limits: Sequence[float], refine: int, judge: Judge, stop: Stop
) -> tuple[list[Point], int]:
    """Return the points that one search found and, without a table, the random ones that it looked at.

    Args:
        seed: the search, finished.
        model: costs, with the columns of the space.
        limits: the targets.
        refine: random architectures to compare by the supernet.
        judge: gives true accuracies where there is a table.
        stop: asked between two architectures.

    Returns:
        The points, and how many architectures the supernet was asked about.
    """
    run = RunDirectory.open(seed.path)
    ended = pipeline.searched(run, seed.plan)[-1]
    own = ended.stage.search.space
    weights = ended.stage.search.weights(seed.plan.devices.here(ended.state))
    kept = heaviest(own, weights, model, limits, whole=seed.plan.space)
    price = price_of(seed.plan.space, model)
    rivals = stratified(own, price, np.random.default_rng([seed.number, 3]), refine)
    asked = list(dict.fromkeys([*(one for _, one in kept), *rivals]))
    scores = supernet_accuracies(run, seed.plan, ended, asked, stop)

    def point(kind: str, one: Genotype, target: float | None = None) -> Point:
        true = judge.table.accuracy(one, judge.dataset) if judge.table else None
        said = scores.get(one) if ended.stage.search.judge is None else None
        return Point(kind, one, price(one), seed.number, target=target, supernet=said, true=true)

    # Without a table, what the supernet does not have is judged by no one.
    points = [point(WEIGHTS, one, limit) for limit, one in kept if judge.table is not None or one in scores]
    if refine:
        best = nondominated(np.array([(price(one), score) for one, score in scores.items()]))
        points += [point(SUPERNET, one) for one, on in zip(scores, best, strict=True) if on]
        if judge.table is None:
            points += [replace(point(RANDOM, one), draw=0) for one in rivals]
    return points, len(scores)


def true_points(space: SearchSpace, model: CostModel, judge: Judge) -> list[Point]:
    """Return all architectures of the table that the space has and the device can run; none without a table."""
    if judge.table is None:
        return []
    price, scores = price_of(space, model), judge.table.scores(judge.dataset)
    return [
        Point(TRUE, one, cost, true=float(score))
        for one, score in zip(judge.table.architectures, scores, strict=True)
        if representable(space, one) and math.isfinite(cost := price(one))
    ]


def random_points(space: SearchSpace, model: CostModel, judge: Judge, count: int) -> list[Point]:
    """Return `SETS` sets of `count` random architectures each, spread over the costs; none without a table."""
    if judge.table is None:
        return []
    price, table = price_of(space, model), judge.table
    return [
        Point(RANDOM, one, price(one), draw=draw, true=table.accuracy(one, judge.dataset))
        for draw in range(SETS)
        for one in stratified(space, price, np.random.default_rng([draw, 4]), count)
    ]


def marked(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return points by kind and cost, with what is on the front of its kind, and files for what was found."""
    every: list[Point] = []
    for kinds in (FOUND, (RANDOM,), (TRUE,)):
        own = [point for point in points if point.kind in kinds]
        every += [replace(one, on_front=bool(on)) for one, on in zip(own, nondominated(plane(own)), strict=True)]
    ranks = {kind: rank for rank, kind in enumerate((*FOUND, RANDOM, TRUE))}

    def order(point: Point) -> tuple[float, ...]:
        return (ranks[point.kind], point.cost, point.accuracy, point.seed or 0, point.draw or 0)

    every.sort(key=order)
    names: dict[Genotype, str] = {}
    for point in sorted((one for one in every if one.found), key=lambda one: (one.cost, one.accuracy)):
        names.setdefault(point.genotype, f"{FOLDER}/{len(names) + 1:03d}.json")
    return tuple(replace(one, file=names[one.genotype]) if one.found else one for one in every)


def measures(points: Sequence[Point], truth: Sequence[Point], seeds: Sequence[int]) -> tuple[tuple[Measured, ...], Box]:
    """Return the numbers of the found points, of those of each seed and kind, and of random ones.

    Args:
        points: found and random ones.
        truth: all architectures of the table; empty without one, and all numbers are then by the supernets.
        seeds: of the searches.

    Returns:
        The numbers, and the box in which they are taken: that of all architectures of the table, or of all points, from
        accuracy 0 where there is no table.
    """
    found = [point for point in points if point.found]
    rivals = [point for point in points if point.kind == RANDOM]
    box = box_of(plane(list(truth or points)))
    if not truth:
        box = box._replace(worst=0.0)
    front = plane([one for one, on in zip(truth, nondominated(plane(list(truth))), strict=True) if on])

    def row(name: str, *sets: Sequence[Point]) -> Measured:
        return measure(name, [plane(list(own)) for own in sets], box, front if truth else None)

    def chosen(keep: Callable[[Point], bool]) -> list[Point]:
        return list({one.genotype: one for one in found if keep(one)}.values())

    together = chosen(lambda _: True)
    rows = [row("found, all seeds" if len(seeds) > 1 else "found", together)]
    single = []
    for seed in seeds:
        own = chosen(lambda one, seed=seed: one.seed == seed)  # type: ignore[misc]
        single.append(len(own))
        if len(seeds) > 1:
            rows.append(row(f"found, seed {seed}", own))
        for kind, name in ((WEIGHTS, "by weights"), (SUPERNET, "as the search judges")):
            part = chosen(lambda one, seed=seed, kind=kind: one.seed == seed and one.kind == kind)  # type: ignore[misc]
            if part and len(part) < len(own):
                rows.append(row(f"{name}, seed {seed}", part))
    sets = [[one for one in rivals if one.draw == draw] for draw in sorted({one.draw or 0 for one in rivals})]
    if truth:
        sizes = dict.fromkeys([len(together), round(float(np.mean(single)))])
        rows += [row(f"random, {size} architectures", *(own[:size] for own in sets)) for size in sizes]
    elif sets:
        rows.append(row(f"random, {len(rivals)} architectures", rivals))
    return tuple(rows), box
