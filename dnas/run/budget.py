"""What a run is held to: the cost models of its hardware, for the networks that it trains, and the limits on them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas.errors import UserError, unknown
from dnas.genotype import Genotype
from dnas.hardware.charge import charged
from dnas.hardware.exact import METRICS as COUNTED
from dnas.hardware.exact import exact
from dnas.hardware.expected import kept, mixed
from dnas.hardware.limits import Limit, amount, read_limits
from dnas.hardware.live import connected
from dnas.hardware.machines import MACHINES
from dnas.hardware.model import ROOFLINE, CostModel
from dnas.hardware.roofline import roofline
from dnas.hardware.shipped import SUFFIX, find, shipped
from dnas.run import settings
from dnas.run.config import Config, objective_of
from dnas.selection import random_genotype
from dnas.types import SearchSpace, Weights

TRIES = 10_000


class Budget(NamedTuple):
    """Cost models and limits of a run.

    Attributes:
        models: costs of the networks that the run trains, with the space's operations as columns.
        limits: on some of the models.
        confidence: with which the true cost is to be within a limit.
        notes: what the user should know of how far the models fit, in sentences.
    """

    models: tuple[CostModel, ...] = ()
    limits: tuple[Limit, ...] = ()
    confidence: float = 0.0
    notes: tuple[str, ...] = ()

    def costs(self, space: SearchSpace, genotype: Genotype, weights: Weights | None = None) -> list[dict[str, Any]]:
        """Return what an architecture costs by each model, as JSON values; `table` is what led the search.

        Args:
            space: the space.
            genotype: the architecture.
            weights: operation weights of which costs are expected too (`dnas.hardware.expected.kept` and `mixed`).
        """
        found = []
        for index, model in enumerate(self.models):
            limit = next((limit.value for limit in self.limits if limit.model == index), None)
            table = model.predict(space.spec, genotype)
            actual = model.actual(genotype) if model.actual else None
            predicted = table if actual is None or not np.isfinite(table) else actual
            # As written, since that is what the search is held to; a network that was counted itself needs no margin.
            written = model.written(space.spec, genotype)
            counted = predicted if actual is not None else model.raised(written, self.confidence)
            raised = counted if limit is not None else None
            entry: dict[str, Any] = {
                "title": model.title,
                "metric": model.metric,
                "unit": model.unit,
                "kind": model.kind,
                "predicted": _plain(predicted),
                "table": _plain(table),
                "actual": actual,
                "limit": limit,
                "raised": _plain(raised),
                "within": None if raised is None or limit is None else bool(raised <= limit * (1 + 1e-9)),
            }
            if weights is not None:
                entry |= {
                    "expected": _plain(float(kept(model.table, space.spec, weights))),
                    "mixed": _plain(float(mixed(model.table, weights))),
                }
            found.append(entry)
        return found

    def within(self, space: SearchSpace, genotype: Genotype) -> bool:
        """Return whether an architecture is within all limits."""
        return all(entry["within"] is not False for entry in self.costs(space, genotype))

    def to_json(self) -> list[dict[str, Any]]:
        """Return what the run directory says of the models."""
        found = [
            {
                "title": model.title,
                "kind": model.kind,
                "source": model.source,
                "network": dict(model.network),
                "batch_size": model.batch_size,
                "dtype": model.dtype,
                "quality": None if model.quality is None else model.quality._asdict(),
                "fingerprint": _fingerprint(model),
            }
            for model in self.models
        ]
        # As it is read back: a resumed run compares the two.
        return list(json.loads(json.dumps(found, default=list)))


def budget(config: Config, space: SearchSpace, shape: tuple[int, ...], classes: int, build: Any) -> Budget:
    """Return the cost models that a run asks for, of the networks that it trains.

    Args:
        config: the request.
        space: the space.
        shape: (H, W, C) of an image.
        classes: number of classes.
        build: the space's factory of networks, whose arguments are settings.

    Raises:
        UserError: for unknown hardware, a profile of another space, or a limit that cannot be read or on something that
            no hardware says.
    """
    deployed = settings.group(config.values, "retrain", build)
    named = {"classes": classes, "image": list(shape), **deployed}
    models: list[CostModel] = []
    notes: list[str] = []
    for name in config.hardware:
        for model in _of_device(name, space, shape, deployed, named):
            models.append(model.fitting(space.name, space.spec))
            if model.kind == ROOFLINE and name in shipped():
                known = ", ".join(sorted({one.space for one in find(name).models}))
                notes.append(
                    f"--hardware {name}: its measurements are of networks of {known}; for {space.name} the cost is an "
                    f"estimate from published peaks that was not measured, and often several times too low"
                )
            notes += _misfit(model, named)
    asked = [word.partition("=")[0].strip() for word in config.limits]
    models += [exact(space, metric, shape, settings=deployed) for metric in COUNTED if metric in asked]
    if config.limits and not models:
        metric = asked[0].rpartition(".")[2]
        raise UserError(
            f"--limit {config.limits[0]}: the {metric} of a network depends on the device; name one with --hardware: "
            f"{', '.join(shipped())}, a known machine, or a file that dnas profile made"
        )
    limits = read_limits(config.limits, models)
    confidence = config.values["hardware.confidence"] if limits else 0.0
    return Budget(tuple(models), limits, confidence, tuple(notes))


def limited(config: Config, space: SearchSpace, own: Budget) -> SearchSpace:
    """Return the space on which a search pays for its limits; itself where there are none.

    Raises:
        UserError: if no architecture is within the limits, with what the space offers.
    """
    if not own.limits:
        return space
    penalty = objective_of(config.objective)(
        [limit.value for limit in own.limits], **settings.group(config.values, "objective")
    )
    return charged(space, own.models, own.limits, penalty, **settings.group(config.values, "hardware"))


def random_within(space: SearchSpace, rng: np.random.Generator, own: Budget) -> Genotype:
    """Draw a random architecture that is within the limits, and whose output depends on its input where that can be.

    Raises:
        UserError: if none is found in `TRIES` draws.
    """
    dead = None
    for _ in range(TRIES):
        genotype = random_genotype(space, rng)
        if own.within(space, genotype):
            if connected(space.spec, genotype):
                return genotype
            dead = genotype
    if dead is not None:
        return dead
    raise UserError(
        f"none of {TRIES:,} random architectures is within the limits: raise one, or compare with none (--baseline 0)"
    )


def told(entry: Mapping[str, Any]) -> str:
    """Return a cost of `Budget.costs` in words."""
    if entry["predicted"] is None:
        return f"{entry['title']} cannot run this network"
    words = f"{entry['title']} {amount(entry['predicted'], entry['metric'])}"
    if entry["limit"] is None:
        return words
    raised = amount(entry["raised"], entry["metric"])
    margin = f", with margin {raised}" if entry["raised"] != entry["predicted"] else ""
    verdict = "within" if entry["within"] else "over"
    return f"{words}{margin}: {verdict} the limit of {amount(entry['limit'], entry['metric'])}"


def _of_device(
    name: str, space: SearchSpace, shape: tuple[int, ...], deployed: Mapping[str, Any], named: Mapping[str, Any]
) -> list[CostModel]:
    """Return the models of a device: of each metric the one whose networks are most like those of the run.

    A name may be of a profile that came with the library and of a published machine: what was measured on networks of
    the space goes before the estimate.
    """
    machines = {machine.name: machine for machine in MACHINES}
    profiled = name in shipped() or name.endswith(SUFFIX) or Path(name).is_file()
    if not profiled and name not in machines:
        raise unknown("hardware", name, dict.fromkeys((*shipped(), *machines)))
    models = find(name).models if profiled else ()
    own = [model for model in models if model.space == space.name]
    if own:
        metrics = dict.fromkeys(model.metric for model in own)
        nearest = sorted(own, key=lambda one: _unlike(one, named))
        return [next(one for one in nearest if one.metric == metric) for metric in metrics]
    if name in machines:
        return [roofline(space, machines[name], shape, settings=deployed)]
    spaces = ", ".join(sorted({model.space for model in models}))
    raise UserError(
        f"--hardware {name}: the profile is of the space {spaces}, but the search is on {space.name}: choose another, "
        f"name a known machine for an estimate ({', '.join(machines)}), or make a profile with dnas profile --space "
        f"{space.name}"
    )


def _unlike(model: CostModel, named: Mapping[str, Any]) -> tuple[int, int]:
    """Return in how many ways a model's networks differ from those of the run, and its batch size."""
    return len(_differences(model, named)), model.batch_size


def _differences(model: CostModel, named: Mapping[str, Any]) -> list[str]:
    return [key for key, value in model.network.items() if key in named and _listed(named[key]) != _listed(value)]


def _misfit(model: CostModel, named: Mapping[str, Any]) -> Sequence[str]:
    differing = _differences(model, named)
    if model.kind == ROOFLINE:
        return (f"{model.title} is an estimate from published peaks that was not measured; dnas profile measures",)
    if not differing:
        return ()
    own = ", ".join(f"{key}={_listed(model.network[key])}" for key in differing)
    other = ", ".join(f"{key}={_listed(named[key])}" for key in differing)
    return (
        f"{model.title} is of networks with {own}, this run trains networks with {other}: costs and limits are those "
        f"of the profile's networks",
    )


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def _plain(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _fingerprint(model: CostModel) -> str:
    rows = {name: np.asarray(own).tolist() for name, own in model.table.rows.items()}
    text = json.dumps([model.title, model.ops, model.table.base, rows], default=list)
    return hashlib.sha256(text.encode()).hexdigest()
