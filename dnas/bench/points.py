"""What is measured: a case at one size with one choice of settings, as a value that JSON can hold."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

from dnas import plugins
from dnas.errors import UserError, unknown
from dnas.run import settings
from dnas.run.config import method_of

FORWARD, GRADIENT, STEP = "forward", "forward_backward", "step"
PARTS = (FORWARD, GRADIENT, STEP)
"""What is run: the forward pass, that with the gradient for the parameters, a whole training or search step."""
DERIVED = "derived"
"""The case of a stand-alone network; every other case is a space's supernet."""
DERIVED_SPACE, DERIVED_GENOTYPE = "darts", "DARTS_V2"
CLASSES, IMAGE_CHANNELS = 10, 3
STEPS_PER_EPOCH = 390


@dataclass(frozen=True)
class Point:
    """One case at one size.

    Attributes:
        case: name of a search space, whose supernet is measured, or `derived`.
        batch: images in a minibatch.
        image: height and width of an image in pixels.
        method: name of the search method whose step is measured; of no effect for `derived`.
        settings: every setting of the case by dotted name: `space.*` and `search.*`, or `retrain.*` for `derived`.
    """

    case: str
    batch: int
    image: int
    method: str
    settings: Mapping[str, Any]

    @property
    def prefix(self) -> str:
        """What the names of the network's settings begin with."""
        return "retrain" if self.case == DERIVED else "space"

    @property
    def dtype(self) -> str:
        """Type of the computation."""
        return str(self.settings.get(f"{self.prefix}.dtype", "float32"))

    @property
    def channels(self) -> int:
        """Channels C of the first cells; 0 for a space without that setting."""
        return int(self.settings.get(f"{self.prefix}.channels", 0))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, read back by `from_json`."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Point":
        """Read what `to_json` returned."""
        return point(value["case"], value["batch"], value["image"], value["method"], value["settings"])


def module_of(case: str) -> ModuleType:
    """Return the module of the search space that `case` is about; `UserError` for an unknown one."""
    offered = plugins.names(plugins.SPACES)
    if case != DERIVED and case not in offered:
        raise unknown("case", case, (*offered, DERIVED))
    return plugins.find(plugins.SPACES, "case", DERIVED_SPACE if case == DERIVED else case)


def table(case: str, method: str) -> dict[str, settings.Setting]:
    """Return the settings that `case` has, with their defaults."""
    module = module_of(case)
    if case == DERIVED:
        return settings.from_signature("retrain", module.build, without=("genotype", "classes"))
    own = settings.from_signature("space", module.space)
    return {**own, **settings.from_signature("search", method_of(method))}


def point(case: str, batch: int, image: int, method: str, chosen: Mapping[str, Any]) -> Point:
    """Return the point whose settings are the case's defaults with those of `chosen` in their place.

    Raises:
        UserError: for a number that is not positive, an unknown name, or a setting of the wrong type.
    """
    for name, value in (("--batch", batch), ("--image", image)):
        if value < 1:
            raise UserError(f"{name}: expected at least 1, got {value}")
    return Point(case, batch, image, method, settings.resolve(table(case, method), chosen))
