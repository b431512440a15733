"""What was measured, as the plain values of `bench.json`: the table and the picture are made from these alone.

The name of a number ends in its unit, or says that it is a ratio or a share (of 1).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dnas.bench.compiling import Preparation
from dnas.bench.points import Point
from dnas.bench.timing import Spread, ratio, spread

SCHEMA = "dnas.bench/1"
OURS = "dnas"
"""What our program is called in a ratio; a variant adds its settings."""

Entry = dict[str, Any]


def where(point: Point, part: str) -> Entry:
    """Return what says which program it is."""
    return {
        "case": point.case,
        "part": part,
        "batch_images": point.batch,
        "image_pixels": point.image,
        "channels": point.channels,
        "dtype": point.dtype,
        "method": point.method,
    }


def measurement(
    point: Point,
    part: str,
    program: str,
    *,
    images: int,
    macs: int,
    cold: Preparation | None,
    warm: Preparation | None,
    temporary_bytes: int | None,
    seconds: Sequence[float],
    peak_macs_per_second: float | None,
    note: str = "",
    not_compared: Mapping[str, str] | None = None,
) -> Entry:
    """Return the entry of one program of ours.

    Args:
        point: where it stands.
        part: which of the point's programs it is.
        program: `OURS`, with the settings that make it a variant.
        images: images that go through the network in a call.
        macs: multiply-adds of a call, with those that it repeats instead of keeping their results.
        cold: preparing it with an empty persistent cache, if measured.
        warm: the same once the cache holds it.
        temporary_bytes: peak of temporary memory.
        seconds: of a call, for each round; empty if it did not run.
        peak_macs_per_second: of the machine, with matrix products in the same type.
        note: why it did not run.
        not_compared: why programs of another framework did not run, by label.
    """
    times: Entry = {"seconds_rounds": list(seconds)}
    if seconds:
        told = spread(seconds)
        rate = macs / told.median
        times |= {
            **_spread("seconds", told),
            "seconds_per_image": told.median / images,
            "images_per_second": images / told.median,
            "macs_per_second": rate,
            "share_of_peak": rate / peak_macs_per_second if peak_macs_per_second else None,
        }
    return {
        **where(point, part),
        "program": program,
        "settings": {name: list(v) if isinstance(v, tuple) else v for name, v in point.settings.items()},
        "images_per_call": images,
        "trace_seconds": cold.trace_seconds if cold else None,
        "lower_seconds": cold.lower_seconds if cold else None,
        "compile_cold_seconds": cold.compile_seconds if cold else None,
        "compile_warm_seconds": warm.compile_seconds if warm else None,
        "temporary_bytes": temporary_bytes,
        "macs_per_call": macs,
        "macs_per_image": macs / images,
        "peak_macs_per_second": peak_macs_per_second,
        **times,
        "note": note,
        "not_compared": dict(not_compared or {}),
    }


def comparison(
    point: Point,
    part: str,
    program: str,
    reference: str,
    *,
    seconds: Sequence[float],
    reference_seconds: Sequence[float],
    memory: tuple[int | None, int | None] = (None, None),
    extra: Mapping[str, Any] | None = None,
) -> Entry:
    """Return the entry of a ratio: time and memory of `program` over those of `reference`; below 1 is better.

    Args:
        point: where `program` stands.
        part: which of the point's programs it is.
        program: `OURS` or a variant.
        reference: what it is held against.
        seconds: of a call of `program`, for each round.
        reference_seconds: of a call of `reference` in the same rounds.
        memory: peak bytes of both.
        extra: more about the reference.
    """
    own, other = memory
    return {
        **where(point, part),
        "program": program,
        "reference": reference,
        **_spread("time_ratio", ratio(seconds, reference_seconds)),
        "seconds_median": spread(seconds).median,
        "reference_seconds_median": spread(reference_seconds).median,
        "reference_seconds_rounds": list(reference_seconds),
        "rounds": len(seconds),
        "memory_bytes": own,
        "reference_memory_bytes": other,
        "memory_ratio": own / other if own and other else None,
        **(extra or {}),
    }


def _spread(name: str, told: Spread) -> Entry:
    return {f"{name}_median": told.median, f"{name}_quartile_low": told.low, f"{name}_quartile_high": told.high}
