"""Signs that a search went wrong although it ran: collapse to skip connections, indecision, no convergence."""

import math
from dataclasses import dataclass

from dnas.report.colours import family
from dnas.report.run import Run
from dnas.report.words import cell_title, percent, plural

UNDECIDED = 0.95
"""Share of the maximum entropy from which a search counts as hardly decided."""


@dataclass(frozen=True)
class Check:
    """One look at a run: whether it is fine, and a sentence of plain text."""

    fine: bool
    text: str


def check(run: Run) -> list[Check]:
    """Return what was looked at, warnings first."""
    checks = [_skips(run, name) for name, _ in run.genotype.cells]
    if run.search:
        decided = (_decided(name, group.entropy[-1], len(group.ops)) for name, group in run.search.groups.items())
        checks += [one for one in decided if one]
        if len(run.search.genotypes) > 1:
            checks.append(_settled(run.search.genotypes))
    return sorted(checks, key=lambda one: one.fine)


def last_change(genotypes: tuple[str, ...]) -> int:
    """Return the index of the first epoch that selected what the last one did, and so did all between."""
    index = len(genotypes) - 1
    while index > 0 and genotypes[index - 1] == genotypes[-1]:
        index -= 1
    return index


def _skips(run: Run, name: str) -> Check:
    ops = [edge.op for node in run.genotype[name].nodes for edge in node]
    skips = sum(family(op) == "skip" for op in ops)
    share = f"{skips} of {plural(len(ops), 'kept edge')} of the {cell_title(name)} {'is' if skips == 1 else 'are'} skip"
    if 2 * skips > len(ops):
        return Check(
            False,
            f"{share} connections, more than half: differentiable searches are known to collapse to them "
            f"because they train fastest, not because they serve best.",
        )
    return Check(True, f"{share} connections; more than half would be a sign of collapse.")


def _decided(name: str, entropy: float, ops: int) -> Check | None:
    if ops < 2 or not math.isfinite(entropy):
        return None
    share = entropy / math.log(ops)
    text = f"The entropy of the {cell_title(name)}'s operation weights ended at {percent(share)} of its maximum"
    if share >= UNDECIDED:
        return Check(
            False,
            f"{text}: the search hardly decided between operations, so another seed may well select another cell.",
        )
    return Check(True, f"{text}; from {percent(UNDECIDED)} on, a search counts as hardly decided.")


def _settled(genotypes: tuple[str, ...]) -> Check:
    index = last_change(genotypes)
    last = f"The selected architecture last changed in epoch {index + 1} of {len(genotypes)}"
    if index == len(genotypes) - 1:
        return Check(False, f"{last}, the very last: the search had not settled and may have been too short.")
    return Check(True, f"{last}.")
