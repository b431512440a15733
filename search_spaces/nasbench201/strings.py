"""Architectures of NAS-Bench-201 as text, as numbers, and up to isomorphism.

The text form is `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`: for each node its operations with their source states.
"""

import random
import re
from collections.abc import Iterator
from functools import cache
from itertools import product

from dnas.errors import UserError, unknown
from dnas.genotype import Cell, Edge, Genotype
from search_spaces.nasbench201.cells import CELL, EDGES, NODES, OPS, chosen

SPACE = "nasbench201"
EXAMPLE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
LONGEST = 120
"""Characters of a bad text that a message repeats; the longest architecture has 95."""
_ORDER_SEED = 88
"""The published index numbers the sorted architectures after a shuffle by Python's generator with this seed."""


def from_ops(ops: tuple[str, ...]) -> Genotype:
    """Return the genotype with these operations on the edges 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2."""
    of = dict(zip(EDGES, ops, strict=True))
    nodes = tuple(tuple(Edge(of[node, source], source) for source in range(node)) for node in range(1, NODES + 1))
    return Genotype(SPACE, ((CELL, Cell(nodes, (NODES,))),))


def to_ops(genotype: Genotype) -> tuple[str, ...]:
    """Return the operations in the order of `EDGES`; `UserError` for what is no architecture of this space."""
    check_genotype(genotype)
    of = chosen(genotype)
    return tuple(of[pair] for pair in EDGES)


def from_string(text: str) -> Genotype:
    """Read the published text form.

    Raises:
        UserError: if `text` has another form, an unknown operation, or sources in another order.
    """
    name = f"architecture {text if len(text) <= LONGEST else text[:LONGEST] + '...'!r}"
    nodes = text.strip().split("+")
    if len(nodes) != NODES or not all(re.fullmatch(r"\|([^|~]*~[0-9]{1,3}\|)+", node) for node in nodes):
        raise UserError(f"{name}: expected {NODES} nodes such as {EXAMPLE!r}")
    ops = []
    for number, node in enumerate(nodes, start=1):
        words = [word.split("~") for word in node.strip("|").split("|")]
        sources, expected = [source for _, source in words], [str(state) for state in range(number)]
        if sources != expected:
            raise UserError(
                f"{name}: node {number} takes the states {', '.join(expected)} in this order, got {', '.join(sources)}"
            )
        ops += [op for op, _ in words]
    for op in ops:
        if op not in OPS:
            raise UserError(f"{name}: {unknown('operation', op, OPS)}")
    return from_ops(tuple(ops))


def to_string(genotype: Genotype) -> str:
    """Return the published text form; `UserError` for what is no architecture of this space."""
    of = dict(zip(EDGES, to_ops(genotype), strict=True))
    return "+".join(
        "|" + "".join(f"{of[node, source]}~{source}|" for source in range(node)) for node in range(1, NODES + 1)
    )


def check_genotype(genotype: Genotype) -> None:
    """Raise `UserError` unless `genotype` is an architecture of this space."""
    names = tuple(name for name, _ in genotype.cells)
    if names != (CELL,):
        raise UserError(f"genotype: expected the cell {CELL!r}, got {', '.join(names) or 'none'}")
    cell = genotype[CELL]
    if len(cell.nodes) != NODES or cell.concat != (NODES,):
        raise UserError(
            f"genotype: expected {NODES} nodes of which the last is the output ('concat' [{NODES}]), got "
            f"{len(cell.nodes)} and {list(cell.concat)}"
        )
    for node, kept in enumerate(cell.nodes, start=1):
        if sorted(edge.source for edge in kept) != list(range(node)):
            raise UserError(
                f"genotype, node {node}: expected one edge from each of the states {list(range(node))}, got "
                f"{[edge.source for edge in kept]}"
            )
        for edge in kept:
            if edge.op not in OPS:
                raise UserError(f"genotype, node {node}: {unknown('operation', edge.op, OPS)}")


def connected(genotype: Genotype) -> bool:
    """Return whether a path of operations other than `none` joins input and output; without one nothing is learned."""
    of = dict(zip(EDGES, to_ops(genotype), strict=True))
    reached = {0}
    for node in range(1, NODES + 1):
        if any(source in reached and of[node, source] != "none" for source in range(node)):
            reached.add(node)
    return NODES in reached


def canonical(genotype: Genotype) -> str:
    """Return the text by which NAS-Bench-201 tells cells apart; the space has 6,466 different ones.

    A `skip_connect` stands for its source, and an operation on nothing (`none`, or anything applied to a state that is
    nothing) for nothing; sums do not depend on the order of their terms. Cells with equal texts compute the same
    function. The reverse does not always hold: a sum of nothings counts as something, and a sum within a sum stays one
    term.
    """
    of = dict(zip(EDGES, to_ops(genotype), strict=True))
    states = ["0"]
    for node in range(1, NODES + 1):
        terms = []
        for source in range(node):
            op = of[node, source]
            if op == "none" or states[source] == "#":
                terms.append("#")
            else:
                terms.append(states[source] if op == "skip_connect" else f"({states[source]})@{op}")
        states.append("+".join(sorted(terms)))
    return states[-1]


def enumerate_all() -> Iterator[Genotype]:
    """Yield all 15,625 architectures in the order of their published index."""
    return (from_ops(ops) for ops in _ordered())


def index(genotype: Genotype) -> int:
    """Return the published index, 0 to 15,624, as in the tables; `UserError` for what is no architecture."""
    return _indices()[to_ops(genotype)]


def from_index(number: int) -> Genotype:
    """Return the architecture with the published index `number`; `UserError` outside 0 to 15,624."""
    ordered = _ordered()
    if not 0 <= number < len(ordered):
        raise UserError(f"architecture {number}: expected an index from 0 to {len(ordered) - 1}")
    return from_ops(ordered[number])


@cache
def _ordered() -> tuple[tuple[str, ...], ...]:
    every = list(product(OPS, repeat=len(EDGES)))
    random.Random(_ORDER_SEED).shuffle(every)
    return tuple(every)


@cache
def _indices() -> dict[tuple[str, ...], int]:
    return {ops: number for number, ops in enumerate(_ordered())}


def named(name: str) -> Genotype:
    """Return the architecture that `name` means: its text form or its published index.

    Raises:
        UserError: for anything else.
    """
    if re.fullmatch(r"\d{1,9}", name.strip()):
        return from_index(int(name))
    return from_string(name)
