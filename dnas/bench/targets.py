"""What this project wants to reach, to be seen beside what is measured.

A target belongs to one size; at another size it is shown as a landmark with its size named.
"""

from dataclasses import dataclass

from dnas.bench.points import GRADIENT, STEP
from dnas.bench.record import OURS, Entry

CPU, GPU = "cpu", "gpu"


@dataclass(frozen=True)
class Ratio:
    """The largest time of `program` relative to `reference` that is wanted, on `platform` with `batch` images."""

    case: str
    part: str
    reference: str
    largest: float
    platform: str = CPU
    dtype: str = "float32"
    batch: int = 64
    program: str = OURS


@dataclass(frozen=True)
class Limit:
    """The largest `key` of our program that is wanted, on 2 CPU cores with float32 and `batch` images."""

    case: str
    part: str
    key: str
    largest: float
    batch: int | None = None


RATIOS = (
    Ratio("darts", GRADIENT, "torch channels_last eager", 1.0),
    Ratio("darts", GRADIENT, "torch nchw eager", 0.5),
    Ratio("nasbench201", GRADIENT, "torch channels_last eager", 0.8),
    Ratio("darts", STEP, OURS, 0.35, program=f"{OURS} method=gdas"),
    Ratio("darts", STEP, OURS, 0.4, program=f"{OURS} space.partial_channels=4"),
    Ratio("darts", STEP, "torch nchw eager", 1 / 4, GPU, "bfloat16"),
    Ratio("darts", STEP, "torch channels_last eager", 1 / 4, GPU, "bfloat16"),
    Ratio("darts", STEP, "torch nchw compiled", 1 / 2, GPU, "bfloat16"),
    Ratio("darts", STEP, "torch channels_last compiled", 1 / 2, GPU, "bfloat16"),
)
LIMITS = (
    Limit("darts", STEP, "compile_cold_seconds", 30.0),
    Limit("darts", STEP, "compile_warm_seconds", 3.0),
    Limit("darts", GRADIENT, "temporary_bytes", 4e9, batch=64),
)


def wanted_ratio(entry: Entry, platform: str) -> Ratio | None:
    """Return the target that a ratio has on `platform`, whatever its batch size; `None` if it has none."""
    key = (entry["case"], entry["part"], entry["program"], entry["reference"], platform, entry["dtype"])
    return next(
        (one for one in RATIOS if (one.case, one.part, one.program, one.reference, one.platform, one.dtype) == key),
        None,
    )


def wanted_limit(entry: Entry, key: str, platform: str) -> float | None:
    """Return the largest value of `key` that a measurement should have; `None` if nothing is wanted of it."""
    if platform != CPU or entry["program"] != OURS or entry["dtype"] != "float32":
        return None
    for one in LIMITS:
        if (one.case, one.part, one.key) == (entry["case"], entry["part"], key):
            return one.largest if one.batch in (None, entry["batch_images"]) else None
    return None


def platform_of(environment: Entry) -> str:
    """Return whether an environment's device is a GPU or, for what concerns targets, something else."""
    kind = str(environment["device"]).partition(":")[0]
    return GPU if kind in ("gpu", "cuda", "rocm") else kind
