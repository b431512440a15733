"""The NAS-Bench-201 supernet in PyTorch, a module for each operation (arXiv:2001.00326, section 2)."""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from dnas.bench.peers.operations import Head, MixedOp, NormalConv, Stem, norm

PAIRS = tuple((target, source) for target in range(1, 4) for source in range(target))
"""The edges of a cell as (target, source) states, in the order of the rows of the operation weights."""


class SearchCell(nn.Module):
    """A cell of four states whose six edges are mixed operations."""

    def __init__(self, ops: tuple[str, ...], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {f"edge_{target}_{source}": MixedOp(ops, channels, 1, pool_norm=False) for target, source in PAIRS}
        )

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Map `(N, C, H, W)` and `weights` (edges, ops) to the last state."""
        states = [x]
        edges = list(self.edges.values())
        for target in range(1, 4):
            rows = [row for row, pair in enumerate(PAIRS) if pair[0] == target]
            values = [edges[row](states[PAIRS[row][1]], weights[row]) for row in rows]
            states.append(sum(values[1:], start=values[0]))
        return states[-1]


class ResidualBlock(nn.Module):
    """The block between stages: two 3x3 convolutions beside a 2x2 average pool and a 1x1 convolution."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.conv_0 = NormalConv(before, channels, 3, stride=2, affine=True)
        self.conv_1 = NormalConv(channels, channels, 3, stride=1, affine=True)
        self.pool = nn.AvgPool2d(2)
        self.shortcut = nn.Conv2d(before, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, before, H, W)` to `(N, channels, H / 2, W / 2)`."""
        return self.shortcut(self.pool(x)) + self.conv_1(self.conv_0(x))


class SuperNet(nn.Module):
    """The whole search network: three stages of `cells` cells with C, 2C and 4C channels."""

    def __init__(self, channels: int, cells: int, ops: tuple[str, ...], classes: int) -> None:
        super().__init__()
        self.stem = Stem(channels)
        self.residual_1 = ResidualBlock(channels, 2 * channels)
        self.residual_2 = ResidualBlock(2 * channels, 4 * channels)
        self.stages: Any = nn.ModuleList(
            nn.ModuleList(SearchCell(ops, channels * 2**stage) for _ in range(cells)) for stage in range(3)
        )
        self.last_norm = norm(4 * channels)
        self.head = Head(4 * channels, classes)

    def forward(self, x: Tensor, weights: Mapping[str, Tensor]) -> tuple[Tensor, None]:
        """Map images `(N, 3, H, W)` to `(N, classes)` logits; there is no auxiliary head."""
        x = self.stem(x)
        for index, stage in enumerate(self.stages):
            if index:
                x = (self.residual_1 if index == 1 else self.residual_2)(x)
            for cell in stage:
                x = cell(x, weights["cell"])
        return self.head(F.relu(self.last_norm(x))), None
