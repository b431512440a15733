"""`dnas profile`: from the words of a user to a profile, a picture and what is said about both."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from dnas import plugins
from dnas.bench.progress import Progress
from dnas.errors import UserError, unknown
from dnas.hardware.measure.device import Device, device_name, device_words
from dnas.hardware.measure.operations import describe, parts
from dnas.hardware.measure.picture import picture
from dnas.hardware.measure.run import Measured, Request, measure
from dnas.hardware.model import Profile
from dnas.hardware.profile_file import write_profile
from dnas.own_space import made
from dnas.run import settings
from dnas.run.console import Screen
from dnas.types import SearchSpace

GIVEN = ("genotype", "classes")
SHOWN = 5
ROUGH = 0.5
"""Rank correlation below which predictions are no guide."""
"""Operations at either end of the table on the screen."""


@dataclass(frozen=True)
class Wanted:
    """What a user asked for; as the options of `dnas profile`."""

    space: str
    preset: str
    assignments: tuple[str, ...]
    image: tuple[int, int, int]
    classes: int
    batch_size: int
    dtype: str
    networks: int
    calibration: int
    rounds: int
    seed: int
    name: str | None

    def made(self) -> tuple[SearchSpace, Request]:
        """Return the space and the request; `UserError` for an unknown name or a value that does not fit."""
        module = plugins.find(plugins.SPACES, "space", self.space)
        table = {
            **settings.from_signature("space", module.space),
            **settings.from_signature("retrain", module.build, without=GIVEN),
        }
        if self.preset not in module.PRESETS:
            raise unknown("preset", self.preset, module.PRESETS)
        preset = {name: value for name, value in module.PRESETS[self.preset].items() if name in table}
        values = settings.resolve(table, preset, settings.parse(table, self.assignments))
        own = settings.group(values, "retrain")
        if "dtype" in own:
            own["dtype"] = self.dtype
        elif self.dtype != "float32":
            raise UserError(f"--dtype {self.dtype}: the networks of {self.space} are float32 only; leave it out")
        # The head that helps in training is no part of a deployed network.
        own.update({name: False for name in ("auxiliary",) if name in own})
        space = made(module, classes=self.classes, shape=self.image, **settings.group(values, "space"))
        space.check(self.image)
        request = Request(
            settings={**own},
            image=self.image,
            classes=self.classes,
            batch_size=self.batch_size,
            dtype=self.dtype,
            calibration=self.calibration,
            networks=self.networks,
            seed=self.seed,
        )
        return space, request


def run(wanted: Wanted, out: Path, screen: Screen) -> None:
    """Measure, write the profile and a picture of its error, and say what came out."""
    space, request = wanted.made()
    with screen.working(f"looking at which operations networks of {space.name} consist of"):
        found = parts(space, request.settings, request.image, request.batch_size)
    if not found.calls:
        screen.warn(
            f"networks of {space.name} cannot be taken apart into operations: all is learned from whole networks"
        )
    stages = Device.stages(len(found.calls), request.networks + request.calibration)
    clock = Device(request.image, request.batch_size, wanted.rounds, Progress(screen, stages))
    name = wanted.name or device_name()
    measured = measure(name, space, request, found, clock)
    model = measured.model._replace(source=clock.words())
    write_profile(Profile(name, device_words(), (model,)), out)
    error = model.quality
    assert error is not None
    title = f"{space.name}, batch {model.batch_size}, {model.dtype}, {name}"
    picture(out.with_suffix(".png"), title, measured.true, measured.predicted, error)
    if measured.operations:
        screen.table(_table(measured))
    screen.say(_composing(measured))
    screen.say(
        f"{error.networks} other networks, {min(measured.true):.3g} to {max(measured.true):.3g} ms: Spearman "
        f"{error.spearman:.3f}, Kendall {error.kendall:.3f}, R2 {error.r2:.3f}, mean error {100 * error.mape:.1f} %"
    )
    assert clock.log is not None
    screen.say(
        f"in one half of the rounds and in the other, the networks' times agree with Spearman {clock.agreement():.3f}; "
        f"the machine's speed swung by a factor of {clock.log.swing:.2f}, which was taken out"
    )
    if error.spearman < ROUGH:
        screen.warn(
            f"predictions hardly put networks in order (Spearman {error.spearman:.2f}): measure again on an idle "
            f"machine, with more networks (--networks), before you set a limit by them"
        )
    screen.say(f"profile: {out}, picture: {out.with_suffix('.png')}")


def _table(measured: Measured) -> Table:
    ordered = sorted(measured.operations.items(), key=lambda pair: -pair[1])
    table = Table(title="operations alone, the dearest and the cheapest" if len(ordered) > 2 * SHOWN else "operations")
    table.add_column("operation")
    table.add_column("ms", justify="right")
    shown = ordered if len(ordered) <= 2 * SHOWN else [*ordered[:SHOWN], *ordered[-SHOWN:]]
    for call, milliseconds in shown:
        table.add_row(describe(call), f"{milliseconds:.4f}")
    return table


def _composing(measured: Measured) -> str:
    own: Mapping[str, Any] = measured.calibration.factors
    factors = ", ".join(f"{op} {value:.2f}" for op, value in own.items())
    return f"inside networks, times of operations alone are multiplied by: {factors}"
