"""How a study judges an architecture: by a table of the space's true accuracies, or by training it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dnas import plugins
from dnas.errors import UserError, unknown
from dnas.genotype import Genotype
from dnas.study.request import ALONE, Request
from dnas.table import Table

SKIP = "skip_connect"


@dataclass(frozen=True)
class Judge:
    """The measure of a study.

    Attributes:
        table: true accuracies; `None` where networks are retrained.
        dataset: the table's column that counts; empty without a table.
        measure: what a score is, in words.
        references: networks of the space that every search should know, by name.
    """

    table: Table | None
    dataset: str
    measure: str
    references: tuple[tuple[str, Genotype], ...] = ()

    def watch(self, genotype: Genotype) -> dict[str, Any]:
        """Return what is known of an architecture that a search selects, for the metrics of its run."""
        known: dict[str, Any] = {"skips": skips(genotype), "edges": kept_edges(genotype)}
        if self.table is not None:
            known["true_accuracy"] = self.table.accuracy(genotype, self.dataset)
            known["rank"] = self.table.rank(genotype, self.dataset)
        return known


def judge_of(request: Request, data: str) -> Judge:
    """Return how `request` wants architectures judged that were searched on the data set `data`.

    Raises:
        UserError: if the table is missing or damaged, or lacks the data set.
    """
    offered = plugins.names(plugins.BENCHMARKS)
    if request.truth == ALONE or (request.truth is None and request.table is None and request.space not in offered):
        return Judge(None, "", f"test accuracy on {data} after retraining")
    if request.space not in offered:
        raise UserError(
            f"space {request.space!r} has no table of true accuracies (there is one for "
            f"{', '.join(offered) or 'none'}): leave out --table and --truth, the found networks are then retrained"
        )
    benchmark = plugins.find(plugins.BENCHMARKS, "benchmark", request.space)
    load: Callable[..., Table] = benchmark.load
    table = load(request.table, request.data_dir)
    dataset = request.truth or data
    if dataset not in table.datasets:
        reason = unknown("data set of the table", dataset, table.datasets)
        raise UserError(f"{reason}: choose one of them with --truth, or --truth {ALONE} to train the found networks")
    references = benchmark.reference_networks()
    return Judge(table, dataset, f"true test accuracy on {dataset} ({table.name}, 200 epochs)", references)


def skips(genotype: Genotype) -> int:
    """Return how many kept edges of all cells are skip connections."""
    return sum(edge.op == SKIP for _, cell in genotype.cells for node in cell.nodes for edge in node)


def kept_edges(genotype: Genotype) -> int:
    """Return how many edges all cells keep."""
    return sum(len(node) for _, cell in genotype.cells for node in cell.nodes)
