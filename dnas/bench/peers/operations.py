"""The candidate operations as PyTorch modules (arXiv:1806.09055, section 3.1; arXiv:2001.00326, section 2.1).

Every module maps `(N, C, H, W)` to `(N, C, H / stride, W / stride)`. The names of submodules are those of our parameter
tree, so that copying weights needs no table.
"""

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dnas.errors import UserError


def norm(channels: int, affine: bool = True) -> nn.BatchNorm2d:
    """Batch norm with PyTorch's defaults, which are the published ones: epsilon 1e-5, momentum 0.1."""
    return nn.BatchNorm2d(channels, affine=affine)


class ReLUConvBN(nn.Module):
    """ReLU, 1x1 convolution, batch norm: a cell's preprocessing."""

    def __init__(self, before: int, channels: int, affine: bool) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(before, channels, 1, bias=False)
        self.norm = norm(channels, affine)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, before, H, W)` to `(N, channels, H, W)`."""
        return self.norm(self.pointwise(F.relu(x)))


class FactorizedReduce(nn.Module):
    """ReLU, then two stride-2 1x1 convolutions on pixels one apart, concatenated and normalised."""

    def __init__(self, before: int, channels: int, affine: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, channels // 2, 1, stride=2, bias=False)
        self.second = nn.Conv2d(before, channels - channels // 2, 1, stride=2, bias=False)
        self.norm = norm(channels, affine)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, before, H, W)` to `(N, channels, H / 2, W / 2)`."""
        x = F.relu(x)
        return self.norm(torch.cat([self.first(x), self.second(x[:, :, 1:, 1:])], dim=1))


class Reduction(nn.Module):
    """`skip_connect` where the stride is 2."""

    def __init__(self, channels: int, affine: bool) -> None:
        super().__init__()
        self.reduce = FactorizedReduce(channels, channels, affine)

    def forward(self, x: Tensor) -> Tensor:
        """Halve height and width."""
        return self.reduce(x)


class Pool(nn.Module):
    """3x3 pool, then batch norm if `pool_norm`."""

    def __init__(self, kind: str, channels: int, stride: int, pool_norm: bool) -> None:
        super().__init__()
        average = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        self.pool = average if kind == "avg" else nn.MaxPool2d(3, stride, padding=1)
        self.norm = norm(channels, affine=False) if pool_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Pool and normalise."""
        return self.norm(self.pool(x))


def depthwise(channels: int, size: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Return a bias-free depthwise convolution that keeps the size at stride 1."""
    padding = dilation * (size // 2)
    return nn.Conv2d(channels, channels, size, stride, padding, dilation, groups=channels, bias=False)


class SepConv(nn.Module):
    """(ReLU, depthwise, 1x1, batch norm) twice, the stride in the first."""

    def __init__(self, channels: int, size: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.depthwise_0 = depthwise(channels, size, stride)
        self.pointwise_0 = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm_0 = norm(channels, affine)
        self.depthwise_1 = depthwise(channels, size)
        self.pointwise_1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm_1 = norm(channels, affine)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both halves."""
        x = self.norm_0(self.pointwise_0(self.depthwise_0(F.relu(x))))
        return self.norm_1(self.pointwise_1(self.depthwise_1(F.relu(x))))


class DilConv(nn.Module):
    """ReLU, depthwise convolution with dilation 2, 1x1, batch norm."""

    def __init__(self, channels: int, size: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.depthwise = depthwise(channels, size, stride, dilation=2)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = norm(channels, affine)

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        return self.norm(self.pointwise(self.depthwise(F.relu(x))))


class NormalConv(nn.Module):
    """`nor_conv` of NAS-Bench-201: ReLU, full convolution, batch norm."""

    def __init__(self, before: int, channels: int, size: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, channels, size, stride, padding=size // 2, bias=False)
        self.norm = norm(channels, affine)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, before, H, W)` to `(N, channels, H / stride, W / stride)`."""
        return self.norm(self.conv(F.relu(x)))


class Stem(nn.Module):
    """3x3 convolution and affine batch norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.norm = norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, 3, H, W)` to `(N, channels, H, W)`."""
        return self.norm(self.conv(x))


class Head(nn.Module):
    """Global average pool and a linear layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dense = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to `(N, classes)` logits."""
        return self.dense(self.pool(x).flatten(1))


def operation(name: str, channels: int, stride: int, affine: bool, pool_norm: bool) -> nn.Module:
    """Return the operation called `name`; `UserError` for one that has no version here."""
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Reduction(channels, affine)
    if name in ("max_pool_3x3", "avg_pool_3x3"):
        return Pool(name[:3], channels, stride, pool_norm)
    match = re.fullmatch(r"(sep_conv|dil_conv|nor_conv)_(\d)x\2", name)
    if match is None:
        raise UserError(f"operation {name!r} has no PyTorch version to compare with: leave out --against torch")
    size = int(match[2])
    if match[1] == "nor_conv":
        return NormalConv(channels, channels, size, stride, affine)
    return (SepConv if match[1] == "sep_conv" else DilConv)(channels, size, stride, affine)


class MixedOp(nn.Module):
    """The weighted sum of an edge's operations; `none` adds nothing and is not computed."""

    def __init__(self, names: tuple[str, ...], channels: int, stride: int, pool_norm: bool) -> None:
        super().__init__()
        self.columns = [column for column, name in enumerate(names) if name != "none"]
        self.ops = nn.ModuleDict(
            {
                names[column]: operation(names[column], channels, stride, affine=False, pool_norm=pool_norm)
                for column in self.columns
            }
        )

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Mix with one edge's operation weights `(K,)`."""
        values = [weights[column] * op(x) for column, op in zip(self.columns, self.ops.values(), strict=True)]
        return sum(values[1:], start=values[0])
