"""Bytes that a compiled program sends between devices, counted in its text.

Every collective operation of the program is weighed with how often it runs: the body of a loop counts as often as the
loop turns, which the compiler notes beside it, and a branch that is not always taken as often as
`dnas.macs.happening` says. Nothing is measured, so one machine with simulated devices says what
many accelerators would send.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all")
_OPENING = re.compile(r"(ENTRY )?%?([\w.\-]+) .*\{$")
_COLLECTIVE = re.compile(rf"\s*(?:ROOT )?%?[\w.\-]+ = (.*?) ({'|'.join(KINDS)})(-start)?\(")
_SHAPE = re.compile(r"\b(pred|[a-z]+\d+\w*)\[([\d,]*)\]")
_CALLED = re.compile(r"\b(body|condition|calls|to_apply)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"\b(?:branch_computations=\{([^}]*)\}|(?:true|false)_computation=(%?[\w.\-]+))")
_HAPPENS = re.compile(r"happens_(\d+)_of_(\d+)")
_TURNS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


class Traffic(NamedTuple):
    """What one run of a program sends.

    Attributes:
        bytes: by kind of collective operation, the size of what a device holds afterwards. That is the payload: what
            goes over a link is this times a factor of the algorithm, `2 (n - 1) / n` for an all-reduce in a ring.
        calls: how many collective operations run; arrays that are sent together count once.
    """

    bytes: Counter[str]
    calls: int

    @property
    def total(self) -> int:
        """Payload of all kinds."""
        return self.bytes.total()


def traffic(text: str) -> Traffic:
    """Count the collective operations of a compiled program.

    Args:
        text: `jax.jit(f).lower(...).compile().as_text()`.

    Returns:
        The traffic of one run; of the branches of a condition, that with the largest payload.

    Raises:
        ValueError: if a loop that communicates does not say how often it turns.
    """
    entry, computations = _computations(text)
    known: dict[str, Traffic] = {}

    def weigh(name: str) -> Traffic:
        if name not in known:
            known[name] = _sum(_of_line(line, weigh) for line in computations[name])
        return known[name]

    sent = weigh(entry)
    return Traffic(Counter({kind: round(size) for kind, size in sent.bytes.items()}), round(sent.calls))


def _computations(text: str) -> tuple[str, dict[str, list[str]]]:
    """Return the entry's name, and the lines of each computation by its name."""
    entry, current = "", ""
    computations: dict[str, list[str]] = {}
    for line in text.splitlines():
        opening = _OPENING.match(line)
        if opening:
            current = opening[2]
            computations[current] = []
            entry = current if opening[1] else entry
        elif current and line.startswith(" "):
            computations[current].append(line)
    if not entry:
        raise ValueError("this is not the text of a compiled program: it has no ENTRY")
    return entry, computations


def _of_line(line: str, weigh: Callable[[str], Traffic]) -> Traffic:
    collective = _COLLECTIVE.match(line)
    if collective:
        result, kind, started = collective.groups()
        often = _HAPPENS.search(line)
        share = Fraction(int(often[1]), int(often[2])) if often else 1
        # Fractions, so that the turns of a loop around it make whole numbers of them again.
        return Traffic(Counter({kind: share * _payload(result, kind, bool(started))}), share)  # type: ignore[arg-type]
    inside = _sum(weigh(name) for _, name in _CALLED.findall(line))
    branches = [
        weigh(name.strip().lstrip("%")) for names in _BRANCHES.findall(line) for name in "".join(names).split(",")
    ]
    if branches:
        inside = _sum([inside, max(branches, key=lambda one: one.total)])
    if " while(" not in line or not inside.calls:
        return inside
    turns = _TURNS.search(line)
    if not turns:
        raise ValueError(f"a loop that communicates does not say how often it turns: {line.strip()[:200]}")
    times = int(turns[1])
    return Traffic(Counter({kind: times * size for kind, size in inside.bytes.items()}), times * inside.calls)


def _sum(parts: Iterator[Traffic] | list[Traffic]) -> Traffic:
    total, calls = Counter[str](), 0
    for part in parts:
        total += part.bytes
        calls += part.calls
    return Traffic(total, calls)


def _payload(result: str, kind: str, started: bool) -> int:
    sizes = [_bytes(*shape) for shape in _SHAPE.findall(result) if shape != ("u32", "")]
    # What starts an asynchronous operation holds its operands, then its results; an all-reduce only the results.
    return sum(sizes if kind == "all-reduce" or not started else sizes[len(sizes) // 2 :])


def _bytes(kind: str, dimensions: str) -> int:
    bits = 8 if kind == "pred" else int(re.findall(r"\d+", kind)[0])
    return bits * math.prod(int(size) for size in dimensions.split(",") if size) // 8
