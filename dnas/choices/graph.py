"""Axes of arrays, and which of them are one: a union-find structure (Tarjan 1975, recalled)."""

from collections.abc import Iterable, Sequence


class Graph:
    """Axes, and which of them are one.

    Attributes:
        parents: for each axis one that it is one with, or itself.
        fixed: for the roots of axes of which nothing can be left out, when that was found, and the reason.
    """

    def __init__(self) -> None:
        """Begin without axes."""
        self.parents: list[int] = []
        self.fixed: dict[int, tuple[int, str]] = {}

    def array(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return new nodes for the axes of an array."""
        begin = len(self.parents)
        self.parents.extend(range(begin, begin + len(shape)))
        return tuple(range(begin, begin + len(shape)))

    def root(self, node: int) -> int:
        """Return the node that stands for all that are one with this one."""
        while self.parents[node] != node:
            self.parents[node] = self.parents[self.parents[node]]
            node = self.parents[node]
        return node

    def join(self, one: int, other: int) -> None:
        """Make two axes one."""
        one, other = self.root(one), self.root(other)
        if one == other:
            return
        self.parents[other] = one
        reasons = [self.fixed.pop(root) for root in (one, other) if root in self.fixed]
        if reasons:
            self.fixed[one] = min(reasons)

    def join_all(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Make the two axes of each pair one."""
        for one, other in pairs:
            self.join(one, other)

    def fix(self, nodes: Iterable[int], why: str) -> None:
        """Say that of these axes nothing can be left out, and why: what they are, as the end of a sentence."""
        for node in nodes:
            self.fixed.setdefault(self.root(node), (len(self.parents), why))
