"""What a run is asked to do, as one value: checked before anything is written, and read back on resume."""

import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dnas import plugins
from dnas.errors import UserError, unknown
from dnas.genotype import Genotype
from dnas.hardware.charge import charged
from dnas.run import settings
from dnas.run.final_settings import FinalSettings
from dnas.run.retrain import TrainSettings, check_numbers
from dnas.run.searching import SearchSettings

SCHEMA = "dnas.config/1"
SEARCH, TRAIN = "search", "train"
OBJECTIVE = "augmented_lagrangian"
"""How limits enter a search by default."""
_GIVEN = ("genotype", "classes")


@dataclass(frozen=True)
class Config:
    """A run's whole request.

    Attributes:
        kind: `search` (search, retrain, baselines) or `train` (train a given genotype).
        space: name of the search space.
        method: name of the method; of no effect for `train`.
        data: name of the data set.
        preset: name of the preset that the settings started from.
        seed: seed of everything random.
        baseline: random architectures to train for comparison.
        values: every setting by dotted name.
        genotype: the architecture to train, for `train`.
        hardware: devices whose cost is looked at: names of profiles or of published machines, or files.
        limits: what may be spent, such as `latency=12ms`, as the user wrote it.
        objective: how limits enter the search; of no effect without any.
    """

    kind: str
    space: str
    method: str
    data: str
    preset: str
    seed: int
    baseline: int
    values: Mapping[str, Any]
    genotype: Genotype | None = None
    hardware: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    objective: str = OBJECTIVE

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        value = asdict(self)
        value["genotype"] = self.genotype.to_json() if self.genotype else None
        value["settings"] = {
            name: list(item) if isinstance(item, tuple) else item for name, item in value.pop("values").items()
        }
        return {"schema": SCHEMA, **value}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Config":
        """Read the JSON form of this version of dnas; `UserError` for any other."""
        try:
            if value["schema"] != SCHEMA:
                raise UserError(f"config.json: expected schema {SCHEMA!r}, got {value['schema']!r}")
            space = plugins.find(plugins.SPACES, "space", value["space"])
            limits, objective = tuple(value.get("limits", ())), value.get("objective", OBJECTIVE)
            table = setting_table(space, method_of(value["method"]), objective if limits else None)
            genotype = Genotype.from_json(value["genotype"]) if value["genotype"] else None
            names = ("kind", "space", "method", "data", "preset", "seed", "baseline")
            return Config(
                **{name: value[name] for name in names},
                values=settings.resolve(table, value["settings"]),
                genotype=genotype,
                hardware=tuple(value.get("hardware", ())),
                limits=limits,
                objective=objective,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"config.json is damaged or of another version of dnas ({type(error).__name__}: {error})"
            ) from None


def method_of(name: str) -> Any:
    """Return the method's factory: the function of its module's name, or of `package.module:function`."""
    if ":" in name:
        own = plugins.loaded("method", name)
        lacking = {"space", "epochs", "steps_per_epoch"} - _arguments(own)
        if lacking:
            raise UserError(
                f"method {name!r}: expected a function (space, *, epochs, steps_per_epoch, ...), got one without "
                f"{', '.join(sorted(lacking))}: experiments/own_method.py is an example"
            )
        return own
    return getattr(plugins.find(plugins.METHODS, "method", name), name)


def _arguments(function: Any) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except ValueError:
        return set()


def objective_of(name: str) -> Any:
    """Return the objective's factory: the function of its module's name, or of `package.module:function`."""
    if ":" in name:
        return plugins.loaded("objective", name)
    return getattr(plugins.find(plugins.OBJECTIVES, "objective", name), name)


def setting_table(space: Any, method: Any, objective: str | None = None) -> dict[str, settings.Setting]:
    """Return every setting of a run on `space` with `method`, and with limits that enter it by `objective`."""
    limited = (
        {
            **settings.from_signature("hardware", charged),
            **settings.from_signature("objective", objective_of(objective)),
        }
        if objective
        else {}
    )
    return {
        **limited,
        **settings.from_signature("space", space.space),
        **settings.from_signature("search", SearchSettings),
        **settings.from_signature("search", method),
        **settings.from_signature("finalists", FinalSettings),
        **settings.from_signature("retrain", space.build, without=_GIVEN),
        **settings.from_signature("retrain", TrainSettings),
    }


def make(
    kind: str,
    *,
    space: str,
    method: str,
    preset: str,
    data: str | None,
    seed: int,
    baseline: int | None,
    assignments: tuple[str, ...],
    genotype: Genotype | None = None,
    hardware: tuple[str, ...] = (),
    limits: tuple[str, ...] = (),
    objective: str | None = None,
) -> Config:
    """Put a request together from what the user gave and a preset.

    Raises:
        UserError: for an unknown name, or a value of the wrong type or outside its range.
    """
    module = plugins.find(plugins.SPACES, "space", space)
    if objective and not limits:
        raise UserError(f"--objective {objective} is how a limit enters the search, but there is no --limit: give one")
    table = setting_table(module, method_of(method), (objective or OBJECTIVE) if limits else None)
    if preset not in module.PRESETS:
        raise unknown("preset", preset, module.PRESETS)
    chosen = dict(module.PRESETS[preset])
    default_data, default_baseline = chosen.pop("data"), chosen.pop("baseline")
    given = settings.parse(table, assignments)
    unused = [name for name in given if kind == TRAIN and not name.startswith("retrain.")]
    if unused:
        raise UserError(f"setting {unused[0]}: dnas train uses only settings that begin with 'retrain.'; leave it out")
    # A method need not have what a preset says of others.
    fitting = {name: value for name, value in chosen.items() if name in table or not name.startswith("search.")}
    values = settings.resolve(table, fitting, given)
    for prefix in ("space", "search", "finalists", "retrain", "objective", "hardware"):
        check_numbers(prefix, settings.group(values, prefix))
    alone = not values["retrain.epochs"]
    if alone and (kind == TRAIN or baseline):
        wanted = "dnas train" if kind == TRAIN else f"--baseline {baseline}"
        raise UserError(f"setting retrain.epochs: {wanted} needs at least 1, got 0")
    count = 0 if alone else default_baseline if baseline is None else baseline
    if count < 0:
        raise UserError(f"--baseline: expected 0 or more, got {count}")
    if not 0 <= seed < 2**32:
        raise UserError(f"--seed: expected a number from 0 to {2**32 - 1}, got {seed}")
    return Config(
        kind,
        space,
        method,
        data or default_data,
        preset,
        seed,
        count,
        values,
        genotype,
        hardware,
        limits,
        objective or OBJECTIVE,
    )
