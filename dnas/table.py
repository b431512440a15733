"""A tabular benchmark: the accuracies that every architecture of a search space reached when it was trained alone.

Nothing here knows a particular benchmark; `dnas.benchmarks` holds what reads one from its file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dnas.errors import UserError, unknown
from dnas.genotype import Edge, Genotype


@dataclass(frozen=True, eq=False)
class Table:
    """What is known of R architectures, one a row.

    Attributes:
        name: what it is called, such as `NAS-Bench-201`.
        source: path of the file that it was read from.
        architectures: the R architectures, all different, in the order of the rows.
        accuracies: `(R,)` float64 shares, 0 to 1, by data set, epochs of training and split (`test` or `val`).
        seconds: `(R,)` float64 seconds of a training run, by data set and epochs.
        macs: `(R,)` int64 multiply-adds of one image, by data set.
        params: `(R,)` int64 numbers of parameters, by data set.
        groups: `(R,)` integers that isomorphic architectures share; `None` where that is not known.
        seconds_per_mac: what a multiply-add of training takes on the machine of `seconds`, by data set; `None` where
            that is not known.

    Raises:
        UserError: if the arrays differ in length or an architecture is there twice.
    """

    name: str
    source: str
    architectures: tuple[Genotype, ...]
    accuracies: Mapping[tuple[str, int, str], np.ndarray]
    seconds: Mapping[tuple[str, int], np.ndarray]
    macs: Mapping[str, np.ndarray]
    params: Mapping[str, np.ndarray]
    groups: np.ndarray | None = None
    seconds_per_mac: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        count = len(self.architectures)
        columns: list[Mapping[Any, np.ndarray]] = [self.accuracies, self.seconds, self.macs, self.params]
        if self.groups is not None:
            columns.append({"groups": self.groups})
        for key, column in ((key, column) for mapping in columns for key, column in mapping.items()):
            if column.shape != (count,):
                raise UserError(
                    f"table {self.name}: {key!r} has shape {column.shape}, expected ({count},): give one number for "
                    f"each architecture"
                )

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets with accuracies, in the order of the file."""
        return tuple(dict.fromkeys(dataset for dataset, _, _ in self.accuracies))

    def row(self, genotype: Genotype) -> int:
        """Return the row of `genotype`, in whatever order its nodes list their edges.

        Raises:
            UserError: if it is none of the table's architectures.
        """
        try:
            return self._rows[_key(genotype)]
        except KeyError:
            first = self.architectures[0]
            raise UserError(
                f"table {self.name}: no architecture {_line(genotype)!r} of the space {genotype.space!r}, expected one "
                f"such as {_line(first)!r} of {first.space!r}"
            ) from None

    def genotype(self, row: int) -> Genotype:
        """Return the architecture in `row`; `UserError` outside 0 to R - 1."""
        if not 0 <= row < len(self.architectures):
            raise UserError(f"table {self.name}: no row {row}, expected 0 to {len(self.architectures) - 1}")
        return self.architectures[row]

    def scores(self, dataset: str, epochs: int = 200, split: str = "test") -> np.ndarray:
        """Return the accuracies of all architectures, `(R,)` shares.

        Args:
            dataset: one of `datasets`.
            epochs: length of the training.
            split: `test` or `val`.

        Raises:
            UserError: if the table lacks them; what it has is named.
        """
        known = {key[1:]: column for key, column in self.accuracies.items() if key[0] == dataset}
        if not known:
            raise UserError(f"table {self.name}: {unknown('data set', dataset, self.datasets)}")
        if (epochs, split) not in known:
            has = ", ".join(f"{split} after {epochs}" for epochs, split in sorted(known))
            raise UserError(
                f"table {self.name}: no {split} accuracy after {epochs} epochs on {dataset}, it has {has} epochs"
            )
        return known[epochs, split]

    def accuracy(self, genotype: Genotype, dataset: str, epochs: int = 200, split: str = "test") -> float:
        """Return the accuracy of one architecture, a share; raises as `row` and `scores` do."""
        return float(self.scores(dataset, epochs, split)[self.row(genotype)])

    def rank(self, genotype: Genotype, dataset: str, epochs: int = 200, split: str = "test") -> int:
        """Return the place of an architecture, 1 being the best; equals share the best of their places."""
        scores = self.scores(dataset, epochs, split)
        return 1 + int(np.count_nonzero(scores > scores[self.row(genotype)]))

    def regret(self, genotype: Genotype, dataset: str, epochs: int = 200, split: str = "test") -> float:
        """Return how far an architecture is below the best one, a share of at least 0."""
        scores = self.scores(dataset, epochs, split)
        return float(scores.max() - scores[self.row(genotype)])

    def percentile(self, genotype: Genotype, dataset: str, epochs: int = 200, split: str = "test") -> float:
        """Return the share of the space that is strictly worse than an architecture."""
        scores = self.scores(dataset, epochs, split)
        return float(np.mean(scores < scores[self.row(genotype)]))

    def priced(self, dataset: str, epochs: int = 12) -> bool:
        """Return whether a search can be simulated: runs of `epochs` have a cost and a validation accuracy."""
        return (dataset, epochs) in self.seconds and (dataset, epochs, "val") in self.accuracies

    def costs(self, dataset: str, epochs: int) -> np.ndarray:
        """Return what training each architecture takes, `(R,)` simulated seconds.

        Raises:
            UserError: if the table lacks them; what it has is named.
        """
        if (dataset, epochs) not in self.seconds:
            if dataset not in self.datasets:
                raise UserError(f"table {self.name}: {unknown('data set', dataset, self.datasets)}")
            has = ", ".join(f"{epochs} epochs on {dataset}" for dataset, epochs in sorted(self.seconds)) or "none"
            raise UserError(
                f"table {self.name}: no training times of {epochs} epochs on {dataset}, it has those of {has}"
            )
        return self.seconds[dataset, epochs]

    def cost(self, genotype: Genotype, dataset: str, epochs: int) -> float:
        """Return what training one architecture takes, in simulated seconds; raises as `row` and `costs` do."""
        return float(self.costs(dataset, epochs)[self.row(genotype)])

    def equivalent(self, genotype: Genotype) -> tuple[int, ...]:
        """Return the rows of the architectures that compute the same function as `genotype`, its own among them.

        Raises:
            UserError: if it is no architecture of the table, or the table does not know which are isomorphic.
        """
        row = self.row(genotype)
        if self.groups is None:
            raise UserError(
                f"table {self.name}: {self.source!r} does not say which architectures are isomorphic, use a file that "
                f"does"
            )
        return tuple(np.flatnonzero(self.groups == self.groups[row]).tolist())

    @cached_property
    def neighbours(self) -> np.ndarray:
        """Rows of the architectures that differ in the operation on exactly one edge.

        `(R, E * K)` for E edges and K operations: entry `K * e + k` has operation k on edge e, or is -1 where that is
        the architecture itself or is not in the table.

        Raises:
            UserError: if the architectures differ in their edges.
        """
        codes, count = _codes(self)
        every = np.arange(len(codes))
        found = []
        for edge in range(codes.shape[1]):
            # Architectures that agree on all other edges form a class; it has a place for each operation on this one.
            classes = np.unique(np.delete(codes, edge, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
            place = np.full((classes.max() + 1, count), -1)
            place[classes, codes[:, edge]] = every
            others = place[classes]
            others[every, codes[:, edge]] = -1
            found.append(others)
        return np.concatenate(found, axis=1)

    @cached_property
    def _rows(self) -> dict[tuple[Any, ...], int]:
        rows = {_key(genotype): row for row, genotype in enumerate(self.architectures)}
        if len(rows) != len(self.architectures):
            raise UserError(f"table {self.name}: {self.source!r} holds an architecture twice, expected each once")
        return rows


def _key(genotype: Genotype) -> tuple[Any, ...]:
    """Return what two genotypes share if and only if they differ in nothing but the order of edges in their nodes."""

    def ordered(node: tuple[Edge, ...]) -> tuple[tuple[int, str], ...]:
        return tuple(sorted((edge.source, edge.op) for edge in node))

    cells = tuple((name, tuple(map(ordered, cell.nodes)), cell.concat) for name, cell in genotype.cells)
    return genotype.space, cells


def _line(genotype: Genotype) -> str:
    return " / ".join(str(genotype).splitlines())


def _codes(table: Table) -> tuple[np.ndarray, int]:
    """Return the operation on each edge as a number, `(R, E)`, and how many operations there are."""
    kept = [
        sorted(
            ((name, target, edge.source), edge.op)
            for name, cell in genotype.cells
            for target, node in enumerate(cell.nodes)
            for edge in node
        )
        for genotype in table.architectures
    ]
    places = [place for place, _ in kept[0]]
    if len(set(places)) != len(places) or any([place for place, _ in edges] != places for edges in kept):
        raise UserError(
            f"table {table.name}: architectures differ in their edges, expected the same ones in all: neighbours that "
            f"differ in an operation alone are not defined, leave out what mutates architectures"
        )
    number = {op: index for index, op in enumerate(sorted({op for edges in kept for _, op in edges}))}
    return np.array([[number[op] for _, op in edges] for edges in kept]).reshape(len(kept), -1), len(number)
