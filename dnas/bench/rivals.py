"""What our programs are held against: the same case in another framework, if it is installed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import numpy as np

from dnas.bench.cases import Case, Gradient
from dnas.bench.machine import on_gpu
from dnas.bench.points import DERIVED
from dnas.bench.timing import Runner
from dnas.errors import UserError

LAYOUTS = ("nchw", "channels_last")
"""Memory layouts that PyTorch runs in."""
TORCH_CASES = ("darts", "nasbench201", DERIVED)


class Errors(NamedTuple):
    """How far the numbers of another framework are from ours.

    Attributes:
        output: largest difference of a logit, relative to the largest logit.
        gradient: length of the difference of the whole gradient, relative to the gradient's length.
    """

    output: float
    gradient: float


class Rival(Protocol):
    """One case in another framework, with our weights and images."""

    def runners(self) -> dict[str, Runner]:
        """Return what to time, by part."""

    def compare(self, expected: Gradient) -> Errors:
        """Return how far its numbers are from what ours returned, both in full float32 precision."""

    def logits(self) -> np.ndarray:
        """Return the logits `(B, classes)` of its images in full float32 precision."""

    def saved_bytes(self) -> int:
        """Return the memory that its forward pass keeps for the backward pass."""


class Rivals(NamedTuple):
    """A framework.

    Attributes:
        name: what it is called.
        cases: those that it has.
        build: `(case) -> rivals`, by label.
        details: versions and settings of it that decide its times.
    """

    name: str
    cases: Sequence[str]
    build: Callable[[Case], dict[str, Rival]]
    details: Mapping[str, Any]

    def require(self, cases: Iterable[str]) -> None:
        """Raise `UserError` if it does not have one of `cases`."""
        for case in cases:
            if case not in self.cases:
                raise UserError(
                    f"--against {self.name}: there is no such version of {case!r}, only of {', '.join(self.cases)}: "
                    f"leave out the case or the option"
                )


def torch_rivals(layouts: Sequence[str], compiled: bool) -> Rivals:
    """Return PyTorch, eager in each of `layouts`; with `compiled` also compiled, in the last of them.

    Raises:
        UserError: if PyTorch is not installed, or sees no GPU where ours runs on one.
    """
    if find_spec("torch") is None:
        raise UserError(
            "--against torch needs PyTorch, which is not installed: install it with pip install 'torch>=2.6', or with "
            "the extra dnas[bench]"
        )
    import torch

    from dnas.bench.peers.torch_peer import Flavour, Peer

    if on_gpu() and not torch.cuda.is_available():
        raise UserError("--against torch: ours runs on a GPU but this PyTorch sees none, install its CUDA version")
    flavours = [Flavour(layout) for layout in layouts] + ([Flavour(layouts[-1], compiled=True)] if compiled else [])
    device = "cuda" if on_gpu() else "cpu"

    def build(case: Case) -> dict[str, Rival]:
        return {flavour.label: Peer(case, flavour, device) for flavour in flavours}

    details = {
        "torch_threads": torch.get_num_threads(),
        "torch_cuda": torch.version.cuda,
        "torch_device": device,
        "torch_tf32": device == "cuda",
    }
    return Rivals("torch", TORCH_CASES, build, details)
