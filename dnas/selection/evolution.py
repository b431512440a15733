"""Evolutionary search for the architecture of best score, with which single path one-shot search ends (SPOS, Guo et
al., arXiv:1904.00420, section 3.4 and algorithm 1).

What a random, a mutated or a crossed architecture is, the selection rule says: it keeps the strongest of random
operation weights, raised where an operation is to be passed on. Each architecture is so one of the space, whatever its
groups demand, and where the space has limits it is the one within them that passes on most.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dnas.arguments import at_least_one
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.parts import keep
from dnas.selection.one_hot import one_hot
from dnas.selection.top_edges import top_edges
from dnas.types import SearchSpace, Spec

Scores = Callable[[Sequence[Genotype]], np.ndarray]
"""From N architectures to N scores, of which larger is better, or to several of each, `(N, M)`."""
Score = float | tuple[float, ...]
TRIES = 10
"""Attempts at an architecture that has not been scored, for each of a generation: a space may have no more."""
PASSED_ON = 2.0
"""By how much an operation's weight is raised to be passed on; random weights are less than 1."""
RIDGE = 1.0
"""Pull of the effects of operations towards zero, in architectures."""

Rows = Mapping[str, np.ndarray]


class Evolution(NamedTuple):
    """How many architectures are scored, and where they come from.

    Attributes:
        population: architectures of a generation; the first generation is random.
        generations: how many there are.
        parents: how many of the best so far pass on their operations. Half of each later generation is mutated, the
            other half crossed.
        mutation: probability with which a mutation draws an edge anew.
    """

    population: int = 50
    generations: int = 20
    parents: int = 10
    mutation: float = 0.1

    def check(self) -> None:
        """Raise `UserError` for a number out of its range."""
        at_least_one(population=self.population, generations=self.generations, parents=self.parents)
        if not 0 < self.mutation <= 1:
            raise UserError(f"mutation is {self.mutation:g}: choose a probability greater than 0 and at most 1")


def evolve(
    space: SearchSpace,
    scores: Scores,
    rng: np.random.Generator,
    settings: Evolution | None = None,
    known: Mapping[Genotype, Score] | None = None,
    told: Callable[[int, int], None] | None = None,
) -> dict[Genotype, Score]:
    """Return all architectures that were scored, with their scores, the best first and equal ones by age.

    Of several scores none counts for more than another: the best architecture is that of the smallest sum of ranks,
    among all that have been scored so far.

    In the paper an architecture beyond the limits is drawn again; here the nearest one within them is taken, so that
    narrow limits take no more draws. No architecture is scored twice.

    Args:
        space: the space; all architectures are within the limits that it charges for.
        scores: scores the architectures of a generation, by one number or several.
        rng: what draws.
        settings: its numbers; the published ones by default.
        known: architectures of the space that have been scored before, such as within other limits; of them those
            within these limits count as found, and the first generation descends from them.
        told: `(done, total) -> None`, after each generation: how many of them are.

    Raises:
        UserError: for settings out of their range, or a score that is not finite.
    """
    settings = settings or Evolution()
    settings.check()
    found = {one: score for one, score in (known or {}).items() if _allowed(space, one)}
    for generation in range(settings.generations):
        fresh = _generation(space, rng, found, settings)
        if not fresh:
            break
        own = np.asarray(scores(fresh), np.float64)
        if own.ndim not in (1, 2) or len(own) != len(fresh) or not np.isfinite(own).all():
            raise UserError(
                f"evolution: expected {len(fresh)} finite scores, or as many rows of them, got {own.tolist()}; check "
                f"that the search has not diverged"
            )
        found.update(zip(fresh, own.tolist() if own.ndim == 1 else map(tuple, own.tolist()), strict=True))
        if told is not None:
            told(generation + 1, settings.generations)
    return {one: found[one] for one in _best(found)}


def by_rank(scored: Mapping[Genotype, Score]) -> dict[Genotype, float]:
    """Return one number for each architecture, of which larger is better.

    That is the score itself where there is one, and of several the mean over them of the share of architectures that
    are worse; equal ones count half.
    """
    if not any(isinstance(score, tuple) for score in scored.values()):
        return {one: float(score) for one, score in scored.items()}  # type: ignore[arg-type]
    return dict(zip(scored, rank_means(np.array(list(scored.values()))).tolist(), strict=True))


def rank_means(scores: np.ndarray) -> np.ndarray:
    """Return for each of N rows `(N, M)` the mean over its scores of the share of rows that are worse, `(N,)`.

    Equal ones count half.
    """
    # Most of what `import dnas` took was this module, which hardly any search needs.
    from scipy.stats import rankdata

    ranks: np.ndarray = rankdata(scores, axis=0) - 0.5
    return ranks.mean(axis=1) / len(scores)


def effects(spec: Spec, scored: Mapping[Genotype, float]) -> Rows:
    """Return what each operation on each edge adds to the score of an architecture, by least squares.

    The scores are taken for sums over operations, as costs are, so that the best architecture within any limit can be
    read off (`dnas.selection.within`). A group's rows `(edges, ops)` add up to about zero, and are in standard
    deviations of the scores; an operation that was never scored has effect zero.

    Args:
        spec: the groups.
        scored: architectures and their scores.
    """
    widths = [group.edges * len(group.ops) for group in spec.values()]
    if not scored:
        sums = np.zeros(sum(widths))
    else:
        held = [one_hot(spec, genotype) for genotype in scored]
        table = np.stack([np.concatenate([np.ravel(rows[name]) for name in spec]) for rows in held]).astype(np.float64)
        values = np.array(list(scored.values()))
        values = (values - values.mean()) / (values.std() or 1.0)
        table = table - table.mean(axis=0)
        sums = np.linalg.solve(table.T @ table + RIDGE * np.eye(table.shape[1]), table.T @ values)
    parts = np.split(sums, np.cumsum(widths)[:-1])
    return {
        name: part.reshape(group.edges, len(group.ops)).astype(np.float32)
        for (name, group), part in zip(spec.items(), parts, strict=True)
    }


def _generation(
    space: SearchSpace, rng: np.random.Generator, found: Mapping[Genotype, Score], settings: Evolution
) -> list[Genotype]:
    """Return architectures that have not been scored; fewer than wanted where no more are found."""
    best = _best(found)[: settings.parents]

    def parent() -> Rows:
        return one_hot(space.spec, best[rng.integers(len(best))])  # type: ignore[return-value]

    def mutated() -> Rows:
        kept = parent()
        return {
            name: rows * (rng.random(len(rows)) >= settings.mutation)[:, None] for name, rows in sorted(kept.items())
        }

    def crossed() -> Rows:
        one, other = parent(), parent()
        return {name: np.where(rng.random(len(one[name]))[:, None] < 0.5, one[name], other[name]) for name in one}

    ways: list[tuple[int, Callable[[], Rows]]] = [(settings.population, dict)]
    if best:
        ways = [(settings.population // 2, mutated), (settings.population, crossed), *ways]
    fresh: dict[Genotype, None] = {}
    for count, way in ways:
        for _ in range(TRIES * settings.population):
            if len(fresh) >= count:
                break
            child = _child(space, rng, way())
            if child not in found:
                fresh[child] = None
    return list(fresh)


def _child(space: SearchSpace, rng: np.random.Generator, passed_on: Rows) -> Genotype:
    """Return a random architecture that has the operations passed on, as far as the space and its limits allow."""
    weights = {}
    for name, group in space.spec.items():
        rows = rng.random((group.edges, len(group.ops)), np.float32)
        weights[name] = rows + PASSED_ON * passed_on[name] if name in passed_on else rows
    kept = keep(space, top_edges, weights)  # type: ignore[arg-type]
    # Its edges in their own order, so that equal architectures are equal.
    return top_edges(space, one_hot(space.spec, kept))


def _allowed(space: SearchSpace, genotype: Genotype) -> bool:
    """Whether an architecture is within the limits of the space."""
    return space.charge is None or space.charge.keep(space, one_hot(space.spec, genotype), genotype) == genotype


def _best(found: Mapping[Genotype, Score]) -> list[Genotype]:
    ranked = by_rank(found)
    return sorted(ranked, key=lambda one: -ranked[one])
