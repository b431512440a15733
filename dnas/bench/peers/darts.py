"""The DARTS supernet and derived network in PyTorch, a module for each operation (arXiv:1806.09055)."""

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dnas.bench.peers.operations import FactorizedReduce, Head, MixedOp, ReLUConvBN, Stem, norm, operation
from dnas.genotype import Cell, Genotype


def _layout(cells: int, channels: int) -> Iterator[tuple[bool, bool, int]]:
    """Yield for each cell whether it reduces, whether the one before did, and its channels C."""
    before = False
    for index in range(cells):
        reduces = index in (cells // 3, 2 * cells // 3)
        channels *= 2 if reduces else 1
        yield reduces, before, channels
        before = reduces


def _preprocess(first: int, second: int, channels: int, reduced: bool, affine: bool) -> tuple[nn.Module, nn.Module]:
    kind = FactorizedReduce if reduced else ReLUConvBN
    return kind(first, channels, affine), ReLUConvBN(second, channels, affine)


class SearchCell(nn.Module):
    """A cell whose edges are mixed operations, in the order of the rows of the operation weights."""

    def __init__(
        self, ops: tuple[str, ...], nodes: int, first: int, second: int, channels: int, reduces: bool, reduced: bool
    ) -> None:
        super().__init__()
        self.nodes = nodes
        self.preprocess_0, self.preprocess_1 = _preprocess(first, second, channels, reduced, affine=False)
        self.edges = nn.ModuleDict(
            {
                f"node_{node}_{source}": MixedOp(ops, channels, 2 if reduces and source < 2 else 1, pool_norm=True)
                for node in range(nodes)
                for source in range(node + 2)
            }
        )

    def forward(self, s0: Tensor, s1: Tensor, weights: Tensor) -> Tensor:
        """Map the outputs of the two cells before and `weights` (edges, ops) to the concatenated nodes."""
        states = [self.preprocess_0(s0), self.preprocess_1(s1)]
        edges, row = list(self.edges.values()), 0
        for _ in range(self.nodes):
            values = [edges[row + source](x, weights[row + source]) for source, x in enumerate(states)]
            row += len(states)
            states.append(sum(values[1:], start=values[0]))
        return torch.cat(states[2:], dim=1)


class SuperNet(nn.Module):
    """The whole search network."""

    def __init__(
        self, channels: int, cells: int, nodes: int, ops: tuple[str, ...], classes: int, stem_multiplier: int
    ) -> None:
        super().__init__()
        first = second = stem_multiplier * channels
        self.stem = Stem(second)
        self.cells = nn.ModuleList()
        self.groups: list[str] = []
        for reduces, reduced, own in _layout(cells, channels):
            self.cells.append(SearchCell(ops, nodes, first, second, own, reduces, reduced))
            self.groups.append("reduce" if reduces else "normal")
            first, second = second, nodes * own
        self.head = Head(second, classes)

    def forward(self, x: Tensor, weights: Mapping[str, Tensor]) -> tuple[Tensor, None]:
        """Map images `(N, 3, H, W)` to `(N, classes)` logits; there is no auxiliary head."""
        s0 = s1 = self.stem(x)
        for cell, group in zip(self.cells, self.groups, strict=True):
            s0, s1 = s1, cell(s0, s1, weights[group])
        return self.head(s1), None


class DerivedCell(nn.Module):
    """A cell with its choices made."""

    def __init__(self, cell: Cell, first: int, second: int, channels: int, reduces: bool, reduced: bool) -> None:
        super().__init__()
        self.preprocess_0, self.preprocess_1 = _preprocess(first, second, channels, reduced, affine=True)
        self.sources = [[edge.source for edge in node] for node in cell.nodes]
        self.concat = cell.concat
        self.edges = nn.ModuleDict(
            {
                f"node_{node}_{position}_{edge.op}": operation(
                    edge.op, channels, 2 if reduces and edge.source < 2 else 1, affine=True, pool_norm=False
                )
                for node, kept in enumerate(cell.nodes)
                for position, edge in enumerate(kept)
            }
        )

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        """Map the outputs of the two cells before to the concatenation that the genotype names."""
        states = [self.preprocess_0(s0), self.preprocess_1(s1)]
        edges = iter(self.edges.values())
        for sources in self.sources:
            values = [next(edges)(states[source]) for source in sources]
            states.append(sum(values[1:], start=values[0]))
        return torch.cat([states[index] for index in self.concat], dim=1)


class AuxiliaryHead(nn.Module):
    """The auxiliary classifier on the 8x8 map after the second reduction."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(5, stride=3)
        self.conv_0, self.norm_0 = nn.Conv2d(channels, 128, 1, bias=False), norm(128)
        self.conv_1, self.norm_1 = nn.Conv2d(128, 768, 2, bias=False), norm(768)
        self.head = Head(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, 8, 8)` to `(N, classes)` logits."""
        x = F.relu(self.norm_0(self.conv_0(self.pool(F.relu(x)))))
        return self.head(F.relu(self.norm_1(self.conv_1(x))))


class DerivedNetwork(nn.Module):
    """The evaluation network of a genotype for CIFAR-10, without drop path."""

    def __init__(
        self, genotype: Genotype, channels: int, cells: int, classes: int, stem_multiplier: int, auxiliary: bool
    ) -> None:
        super().__init__()
        first = second = stem_multiplier * channels
        self.stem = Stem(second)
        self.cells = nn.ModuleList()
        self.branch = 2 * cells // 3
        for index, (reduces, reduced, own) in enumerate(_layout(cells, channels)):
            cell = genotype["reduce" if reduces else "normal"]
            self.cells.append(DerivedCell(cell, first, second, own, reduces, reduced))
            first, second = second, len(cell.concat) * own
            if index == self.branch and auxiliary:
                self.auxiliary = AuxiliaryHead(second, classes)
        self.head = Head(second, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map images `(N, 3, H, W)` to `(N, classes)` logits, and those of the auxiliary head where there is one."""
        auxiliary = None
        s0 = s1 = self.stem(x)
        for index, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1)
            if index == self.branch and hasattr(self, "auxiliary"):
                auxiliary = self.auxiliary(s1)
        return self.head(s1), auxiliary
