"""A user's own measurements of whole networks: a text file of `architecture,cost` rows, and the model fitted to it."""

import csv
import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas import plugins
from dnas.errors import UserError, reason, unknown
from dnas.genotype import Genotype, load
from dnas.hardware.fit import unknowns
from dnas.hardware.fitted import error, fit_networks, rows
from dnas.hardware.hwnasbench import Made
from dnas.hardware.model import FITTED, TABLE_UNIT, UNITS, CostModel
from dnas.own_space import made
from dnas.run import settings
from dnas.selection.one_hot import one_hot
from dnas.types import Spec

COLUMNS = ("architecture", "cost")


class Request(NamedTuple):
    """What was measured, and how a model is made of it.

    Attributes:
        file: the measurements.
        space: name of the search space.
        name: short name of the device.
        metric: one of `dnas.hardware.model.UNITS`.
        unit: of the costs in the file.
        batch_size: images that went through a network at once.
        dtype: type of the computation.
        classes: number of classes.
        image: (H, W, C) of an image.
        assignments: `space.NAME=VALUE` words, where the networks' size was not the space's default.
        hold_out: share of the networks on which the error is measured.
        seed: which.
    """

    file: Path
    space: str
    name: str
    metric: str
    unit: str
    batch_size: int = 1
    dtype: str = "float32"
    classes: int = 10
    image: tuple[int, int, int] = (32, 32, 3)
    assignments: tuple[str, ...] = ()
    hold_out: float = 0.2
    seed: int = 0


def fitted(request: Request) -> Made:
    """Return the model of a user's measurements.

    Raises:
        UserError: if the request or a line of the file is not valid, or there are too few networks.
    """
    factor = unit_factor(request.metric, request.unit)
    if not re.fullmatch(r"[A-Za-z0-9_-]+", request.name):
        raise UserError(f"name {request.name!r}: expected letters, digits, - and _, since it is what --hardware takes")
    module = plugins.find(plugins.SPACES, "space", request.space)
    table = settings.from_signature("space", module.space)
    values = settings.group(settings.resolve(table, settings.parse(table, request.assignments)), "space")
    space = made(module, classes=request.classes, shape=request.image, **values)
    genotypes, numbers = read(request.file, module, space.spec)
    costs = factor * np.array(numbers)
    held = round(request.hold_out * len(costs))
    order = np.random.default_rng(request.seed).permutation(len(costs))
    others, used = order[:held], order[held:]
    if held < 2 or len(used) < unknowns(space.spec):
        raise UserError(
            f"{str(request.file)!r} has {len(costs)} networks, of which {held} are held out, expected at least 2 and "
            f"{unknowns(space.spec)} others, as many as the table has numbers: measure more networks, or change "
            f"--hold-out"
        )
    own = rows(space.spec, genotypes)
    found = fit_networks(own.of(used), costs[used])
    model = CostModel(
        name=request.name,
        metric=request.metric,
        kind=FITTED,
        space=request.space,
        ops={name: tuple(group.ops) for name, group in space.spec.items()},
        table=found.table,
        network={**_network(module, values), "classes": request.classes, "image": list(request.image)},
        batch_size=request.batch_size,
        dtype=request.dtype,
        source=f"{request.metric} of whole networks, {request.file.name}; additive table fitted to {len(used)} "
        f"networks, its error is that on the other {held}",
        quality=error(own.of(others), costs[others], found),
        edges=found.edges,
    )
    return Made(model, found.checked)


def unit_factor(metric: str, unit: str) -> float:
    """Return what a cost in `unit` is to be multiplied by; `UserError` for an unknown metric or unit."""
    if metric not in UNITS:
        raise unknown("metric", metric, UNITS)
    if unit == TABLE_UNIT[metric]:
        return 1.0
    if unit not in UNITS[metric]:
        raise UserError(f"unit {unit!r}: expected {metric} in {', '.join(filter(None, UNITS[metric]))}")
    return UNITS[metric][unit]


def read(file: Path, module: Any, spec: Spec) -> tuple[list[Genotype], list[float]]:
    """Return the measured architectures and their costs as written.

    An architecture is what its space calls it, such as a string or an index of NAS-Bench-201, or the path of a genotype
    file, relative to the present folder or to that of `file`. Further columns are left alone.

    Raises:
        UserError: if the file cannot be read, or a line is not valid; its number is named.
    """
    genotypes, costs = [], []
    for where, row in _lines(file):
        architecture, cost = (row[name] for name in COLUMNS)
        try:
            genotypes.append(_architecture(architecture.strip(), module, file.parent))
            one_hot(spec, genotypes[-1])
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        costs.append(_cost(where, cost))
    return genotypes, costs


def _lines(file: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, skipinitialspace=True, restval="")
            lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if lacking:
                raise UserError(
                    f"{str(file)!r} has no column {lacking[0]!r}: its first line is to be {','.join(COLUMNS)!r}"
                )
            for row in reader:
                yield f"{str(file)!r}, line {reader.line_num}", row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read the measurements {str(file)!r} ({reason(error)}): give a CSV file") from None


def _architecture(text: str, module: Any, folder: Path) -> Genotype:
    if text.endswith(".json"):
        return load(text if Path(text).is_file() else folder / text)
    genotype: Genotype = module.named(text)
    return genotype


def _cost(where: str, text: str) -> float:
    try:
        cost = float(text)
    except ValueError:
        cost = math.nan
    if not math.isfinite(cost) or cost < 0:
        raise UserError(f"{where}: expected a cost of 0 or more, got {text!r}; leave out networks that cannot be run")
    return cost


def _network(module: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the space that its networks are built with."""
    taken: Sequence[str] = [name for name in inspect.signature(module.build).parameters if name != "dtype"]
    return {name: value for name, value in values.items() if name in taken}
