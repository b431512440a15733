"""Signs that a search went wrong although it ran: collapse to skip connections, indecision, no convergence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dnas.hardware.live import inputs_of, used_states
from dnas.report.colours import family
from dnas.report.decisions import chosen
from dnas.report.run import Decision, Run
from dnas.report.words import cell_title, percent, plural

UNDECIDED = 0.95
"""Share of the maximum entropy from which a search counts as hardly decided."""
LISTED = 8
"""How many decisions a warning names."""


@dataclass(frozen=True)
class Check:
    """One look at a run: whether it is fine, and a sentence of plain text."""

    fine: bool
    text: str


def check(run: Run) -> list[Check]:
    """Return what was looked at, warnings first."""
    single = chosen(run.genotype)
    checks = [_skips(run, name) for name, _ in run.genotype.cells if name not in single]
    checks += [_dead(name) for name, cell in run.genotype.cells if not inputs_of(cell) & used_states(cell)]
    if run.search:
        groups = run.search.groups
        cells = {name: group for name, group in groups.items() if name not in single}
        decided = (_decided(name, group.entropy[-1], len(group.ops)) for name, group in cells.items())
        checks += [one for one in decided if one]
        checks += _choices({name: groups[name] for name in single if name in groups})
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


def _dead(name: str) -> Check:
    return Check(
        False,
        f"Nothing that enters the {cell_title(name)} reaches its output, since there is none on every path: the "
        f"network guesses, whatever it was trained on.",
    )


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


def _choices(groups: Mapping[str, Decision]) -> list[Check]:
    """Return one look at all single choices together."""
    shares = {
        name: float(group.entropy[-1]) / math.log(len(group.ops))
        for name, group in groups.items()
        if len(group.ops) > 1
    }
    if not shares or not all(map(math.isfinite, shares.values())):
        return []
    open_ones = [name for name, share in shares.items() if share >= UNDECIDED]
    threshold = f"at {percent(UNDECIDED)} of its maximum or above"
    if not open_ones:
        return [Check(True, f"Of {plural(len(shares), 'decision')}, the entropy of none ended {threshold}.")]
    named = ", ".join(open_ones[:LISTED]) + (f" and {len(open_ones) - LISTED} more" if len(open_ones) > LISTED else "")
    return [
        Check(
            False,
            f"Of {plural(len(shares), 'decision')}, {len(open_ones)} ({named}) ended with an entropy {threshold}: the "
            f"search hardly decided there, so another seed may well choose otherwise.",
        )
    ]


def _settled(genotypes: tuple[str, ...]) -> Check:
    index = last_change(genotypes)
    last = f"The selected architecture last changed in epoch {index + 1} of {len(genotypes)}"
    if index == len(genotypes) - 1:
        return Check(False, f"{last}, the very last: the search had not settled and may have been too short.")
    return Check(True, f"{last}.")
