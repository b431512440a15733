"""Measuring a profile: operations alone, whole networks to calibrate their sum, and others to check it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from dnas.costs import CostTable
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.hardware.fit import quality
from dnas.hardware.live import connected
from dnas.hardware.measure.compose import Calibration, calibrate, composed
from dnas.hardware.measure.operations import Parts, elements, weighed
from dnas.hardware.model import MEASURED, CostModel
from dnas.nn.workload import Call
from dnas.selection.random import random_genotype
from dnas.types import Network, SearchSpace

TRIES = 200
"""Draws for each network that is wanted, after which a space counts as too small."""


@dataclass(frozen=True)
class Request:
    """What is to be measured.

    Attributes:
        settings: how networks are built, `space.build(genotype, **settings)`.
        image: (H, W, C).
        classes: number of classes.
        batch_size: images of a call.
        dtype: type of the computation.
        calibration: random networks from which composing is learned.
        networks: other random networks, on which the result is checked.
        seed: of the drawing of both.
    """

    settings: Mapping[str, Any]
    image: tuple[int, int, int]
    classes: int
    batch_size: int = 1
    dtype: str = "float32"
    calibration: int = 30
    networks: int = 30
    seed: int = 0


class Clock(Protocol):
    """What takes the time, in milliseconds of a call."""

    def times(self, calls: Sequence[Call], networks: Sequence[Network]) -> tuple[Mapping[Call, float], Sequence[float]]:
        """Time each operation alone, and whole networks."""
        ...


class Measured(NamedTuple):
    """A measured model, and what it was made from.

    Attributes:
        model: the model; its source is still to be written.
        operations: milliseconds of each operation alone; empty where the space's networks could not be taken apart.
        calibration: what composing does to them.
        true: milliseconds of the networks of the check.
        predicted: the model's predictions of them.
    """

    model: CostModel
    operations: Mapping[Call, float]
    calibration: Calibration
    true: tuple[float, ...]
    predicted: tuple[float, ...]


def measure(name: str, space: SearchSpace, request: Request, found: Parts, clock: Clock) -> Measured:
    """Measure a model of the latency of a space's networks.

    Where networks could not be taken apart into operations, their multiply-adds stand in for the operations' times, and
    all else is learned from whole networks.

    Args:
        name: the device's.
        space: the space.
        request: what is to be measured.
        found: what `operations.parts` found in the space.
        clock: takes the time.

    Raises:
        UserError: if the space has too few different networks.
    """
    drawn = draw(space, request.calibration + request.networks, request.seed)
    networks = [space.build(genotype, **request.settings) for genotype in drawn]
    alone, whole = clock.times(list(found.calls), networks)
    fitted, checked = drawn[: request.calibration], drawn[request.calibration :]
    returned = weighed(found.calls, {call: elements(call) for call in found.calls}, found.macs)
    times = weighed(found.calls, alone, found.macs) if alone else _by_macs(found.macs, whole)
    calibration = calibrate(space.spec, fitted, whole[: request.calibration], times, returned)
    table = composed(space.spec, calibration, times, returned)
    model = CostModel(
        name=name,
        metric="latency",
        kind=MEASURED,
        space=space.name,
        ops={group: tuple(own.ops) for group, own in space.spec.items()},
        # A difference of counts may be negative where operations share a module; a profile has no negative costs.
        table=CostTable(max(0.0, table.base), {group: np.maximum(rows, 0.0) for group, rows in table.rows.items()}),
        network={**_plain(request.settings), "classes": request.classes, "image": list(request.image)},
        batch_size=request.batch_size,
        dtype=request.dtype,
        source="",
    )
    true = tuple(float(one) for one in whole[request.calibration :])
    predicted = tuple(model.predict(space.spec, genotype) for genotype in checked)
    return Measured(
        model._replace(quality=quality(np.array(true), np.array(predicted))), alone, calibration, true, predicted
    )


def draw(space: SearchSpace, count: int, seed: int) -> list[Genotype]:
    """Draw different random architectures whose output depends on their input; nobody deploys others.

    Raises:
        UserError: if there seem to be fewer.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[Genotype, None] = {}
    for _ in range(TRIES * count):
        if len(drawn) == count:
            break
        genotype = random_genotype(space, rng)
        if connected(space.spec, genotype):
            drawn[genotype] = None
    if len(drawn) < count:
        raise UserError(
            f"--networks and --calibration: together {count} different networks are wanted, but {space.name} seems to "
            f"have only {len(drawn)}; ask for fewer"
        )
    return list(drawn)


def _by_macs(macs: CostTable, milliseconds: Sequence[float]) -> CostTable:
    """Return multiply-adds as milliseconds, at a rate at which they alone would make up the mean network."""
    mean = macs.base + sum(float(rows.mean(axis=1).sum()) for rows in macs.rows.values())
    rate = float(np.mean(milliseconds)) / max(mean, 1.0)
    return CostTable(macs.base * rate, {name: rows * rate for name, rows in macs.rows.items()})


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings as JSON values, without the type, which stands on its own."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in settings.items() if name != "dtype"
    }
