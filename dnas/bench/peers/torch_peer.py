"""A case in PyTorch: the same weights and images, checked to give the same numbers, ready to be timed.

Written as a user of PyTorch would: cuDNN chooses its algorithms by trying them, matrix products may use TF32 as ours
do, bfloat16 is autocast, and the architecture step asks only for the gradient that it needs.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dnas.bench.cases import AUXILIARY_WEIGHT, TRAINING, Case, Gradient
from dnas.bench.equality import compare
from dnas.bench.peers import copying, darts, nasbench201
from dnas.bench.points import CLASSES, DERIVED, FORWARD, GRADIENT, STEP
from dnas.bench.rivals import Errors
from dnas.bench.timing import Runner
from dnas.errors import UserError
from dnas.run import settings
from dnas.types import Batch

SAMPLE = 2
_FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class Flavour:
    """One way to run PyTorch: the memory layout of images, and whether `torch.compile` compiles the network."""

    layout: str
    compiled: bool = False

    @property
    def label(self) -> str:
        """What it is called in results."""
        return f"torch {self.layout} {'compiled' if self.compiled else 'eager'}"


class Peer:
    """A case in PyTorch, with the weights of ours.

    Args:
        case: ours.
        flavour: how it runs.
        device: a PyTorch device.

    Raises:
        UserError: if the case has no version in PyTorch with its settings.
    """

    def __init__(self, case: Case, flavour: Flavour, device: str = "cpu") -> None:
        self.case, self.flavour, self.device = case, flavour, torch.device(device)
        self.ours = (
            copying.edge_by_edge(case.space, case.variables.params)
            if case.space
            else copying.flatten(case.variables.params)
        )
        self.network = _network(case)
        self.network.to(device=self.device, memory_format=_FORMATS[flavour.layout])
        try:
            copying.load(self.network, self.ours)
        except ValueError as error:
            raise UserError(
                f"case {case.point.case!r} has no PyTorch version with these settings ({error}): leave out "
                f"--against torch"
            ) from None
        self.network.train()
        self.model: Callable[..., Any] = torch.compile(self.network) if flavour.compiled else self.network
        self.train, self.valid = self._batch(case.batches.train), self._batch(case.batches.valid)
        self.weights = {name: self._tensor(rows) for name, rows in case.weights.items()}

    def runners(self) -> dict[str, Runner]:
        """Return what to time, by part; a search step only for the first-order DARTS search."""
        step = self._descend(TRAINING, {}) if self.case.space is None else None
        if self.case.space is not None and self.case.point.method == "darts":
            step = self._search_step()
        parts = {FORWARD: self._forward, GRADIENT: self._gradient, **({STEP: step} if step else {})}
        return {part: self._finished(run) for part, run in parts.items()}

    def compare(self, expected: Gradient) -> Errors:
        """Run forward and backward once in full float32 precision and compare with what ours returned."""
        with full_precision():
            self.network.zero_grad(set_to_none=True)
            logits, auxiliary = self.network(self.train[0], *self._mixture(self.weights))
            _loss(logits, auxiliary, self.train[1]).backward()
        space = self.case.space
        wanted = copying.edge_by_edge(space, expected.grads) if space else copying.flatten(expected.grads)
        found = copying.values(self.network, self.ours, gradients=True)
        self.network.zero_grad(set_to_none=True)
        return compare((np.asarray(expected.logits), wanted), (logits.detach().cpu().numpy(), found))

    def logits(self) -> np.ndarray:
        """Return the logits of the minibatch for training, in full float32 precision."""
        with full_precision(), torch.no_grad():
            return self.network(self.train[0], *self._mixture(self.weights))[0].cpu().numpy()

    def saved_bytes(self) -> int:
        """Return the memory that a forward pass keeps for the backward pass, measured on two images and scaled."""
        kept: dict[int, int] = {}
        owned = {parameter.untyped_storage().data_ptr() for parameter in self.network.parameters()}
        alive = []

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in owned:
                kept[storage.data_ptr()] = storage.nbytes()
                # A storage that lives on cannot lend its address to another one.
                alive.append(tensor)
            return tensor

        few = (self.train[0][:SAMPLE], self.train[1][:SAMPLE])
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            self._evaluate(few, self.weights)
        return sum(kept.values()) * len(self.train[1]) // len(few[1])

    def _mixture(self, weights: Mapping[str, Tensor]) -> tuple[Any, ...]:
        return (weights,) if self.case.space else ()

    def _autocast(self) -> torch.autocast:
        half = self.case.point.dtype == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=half)

    def _forward(self) -> None:
        with torch.no_grad(), self._autocast():
            self.model(self.train[0], *self._mixture(self.weights))

    def _evaluate(self, batch: tuple[Tensor, Tensor], weights: Mapping[str, Tensor]) -> Tensor:
        with self._autocast():
            logits, auxiliary = self.model(batch[0], *self._mixture(weights))
        return _loss(logits.float(), auxiliary, batch[1])

    def _gradient(self) -> None:
        self.network.zero_grad(set_to_none=True)
        self._evaluate(self.train, self.weights).backward()

    def _descend(self, chosen: Mapping[str, Any], alpha: Mapping[str, Tensor]) -> Callable[[], None]:
        """Return a step of the weights: clipped SGD with momentum, under the softmax of `alpha`."""
        parameters = list(self.network.parameters())
        optimizer = torch.optim.SGD(
            parameters,
            chosen["learning_rate"],
            momentum=chosen["momentum"],
            weight_decay=chosen["weight_decay"],
            nesterov=chosen.get("nesterov", False),
        )

        def step() -> None:
            with torch.no_grad():
                weights = {name: torch.softmax(rows, dim=-1) for name, rows in alpha.items()}
            optimizer.zero_grad(set_to_none=True)
            self._evaluate(self.train, weights).backward()
            if chosen["clip_norm"] > 0:
                nn.utils.clip_grad_norm_(parameters, chosen["clip_norm"])
            optimizer.step()

        return step

    def _search_step(self) -> Callable[[], None]:
        """Return the first-order DARTS step: alpha by Adam on one minibatch, then the weights on the other."""
        own = settings.group(self.case.point.settings, "search")
        state = self.case.programs[STEP]().arguments[0]
        alpha = {name: self._tensor(rows).requires_grad_() for name, rows in state.alpha.items()}
        optimizer = torch.optim.Adam(
            alpha.values(),
            own["alpha_lr"],
            betas=(own["alpha_beta1"], own["alpha_beta2"]),
            weight_decay=own["alpha_weight_decay"],
        )
        descend = self._descend({**own, "learning_rate": own["weight_lr"]}, alpha)

        def step() -> None:
            loss = self._evaluate(self.valid, {name: torch.softmax(rows, dim=-1) for name, rows in alpha.items()})
            for rows, grad in zip(alpha.values(), torch.autograd.grad(loss, list(alpha.values())), strict=True):
                rows.grad = grad
            optimizer.step()
            descend()

        return step

    def _finished(self, run: Callable[[], None]) -> Runner:
        """Return `run` as a runner that waits for the device."""
        if self.device.type != "cuda":
            return run

        def wait() -> None:
            run()
            torch.cuda.synchronize()

        return wait

    def _tensor(self, array: Any) -> Tensor:
        return torch.from_numpy(np.array(array)).to(self.device)

    def _batch(self, batch: Batch) -> tuple[Tensor, Tensor]:
        x = self._tensor(batch.x).permute(0, 3, 1, 2).contiguous(memory_format=_FORMATS[self.flavour.layout])
        return x, self._tensor(batch.y).long()


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute in float32 without TF32, and allow TF32 again afterwards, since our programs use it."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True


def _loss(logits: Tensor, auxiliary: Tensor | None, labels: Tensor) -> Tensor:
    loss = F.cross_entropy(logits, labels)
    return loss if auxiliary is None else loss + AUXILIARY_WEIGHT * F.cross_entropy(auxiliary.float(), labels)


def _network(case: Case) -> Any:
    own = settings.group(case.point.settings, case.point.prefix)
    if case.point.case == DERIVED:
        assert case.genotype is not None
        own = {name: own[name] for name in ("channels", "cells", "stem_multiplier", "auxiliary")}
        return darts.DerivedNetwork(case.genotype, classes=CLASSES, **own)
    if case.point.case == "darts":
        own = {name: own[name] for name in ("channels", "cells", "nodes", "ops", "stem_multiplier")}
        return darts.SuperNet(classes=CLASSES, **own)
    if case.point.case == "nasbench201":
        return nasbench201.SuperNet(classes=CLASSES, **{name: own[name] for name in ("channels", "cells", "ops")})
    raise ValueError(f"no network for the case {case.point.case!r}")
