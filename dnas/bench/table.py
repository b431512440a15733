"""A benchmark's result for the terminal: ratios first, then times, then what it takes to get a program ready."""

from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dnas.bench.points import FORWARD, GRADIENT
from dnas.bench.record import OURS, Entry
from dnas.bench.targets import platform_of, wanted_limit, wanted_ratio

DASH = "\u2013"
UNITS = (("s", 1.0), ("ms", 1e-3), ("\u00b5s", 1e-6))
Column = tuple[str, Callable[[Entry], str]]


def tables(result: Entry) -> Group:
    """Return the tables of a result as `bench.json` holds it, and what did not run; empty ones are left out."""
    platform = platform_of(result["environment"])
    measured = result["measurements"]
    ready = [one for one in measured if one["trace_seconds"] is not None or one["temporary_bytes"] is not None]
    ran = [one for one in measured if "seconds_median" in one]
    parts: list[RenderableType] = [
        _table(title, columns, entries)
        for title, columns, entries in (
            (
                "Time and memory relative to another program: below 1 is better",
                _ratio_columns(platform),
                result["ratios"],
            ),
            ("Time of a call and its arithmetic", _TIME_COLUMNS, ran),
            ("Getting ready in a fresh process, and temporary memory", _cost_columns(platform), ready),
        )
        if entries
    ]
    parts += [Text(f"{_where(one)}: {one['note']}") for one in measured if one["note"]]
    parts += [Text(f"{_where(one)}: {name} {note}") for one in measured for name, note in one["not_compared"].items()]
    return Group(*parts)


def seconds(*values: float | None) -> list[str]:
    """Return times with three digits, all in the unit that fits the first: s, ms or µs; a dash for `None`."""
    first = next((value for value in values if value is not None), 1.0)
    name, unit = next((one for one in UNITS if first >= one[1]), UNITS[-1])
    return [DASH if value is None else f"{_digits(value / unit)} {name}" for value in values]


def gigabytes(value: float | None) -> str:
    """Return bytes as GB with three digits; a dash for `None`."""
    return DASH if value is None else f"{_digits(value / 1e9)} GB"


def part(entry: Entry) -> str:
    """Return the name of a part for people."""
    return {FORWARD: "forward", GRADIENT: "fwd+bwd"}.get(entry["part"], str(entry["part"]))


def relation(entry: Entry) -> str:
    """Return what a ratio is of: the other program, or a variant of ours before the plain one."""
    if entry["program"] == OURS:
        return str(entry["reference"]).replace("nchw", "NCHW").replace("channels_last", "NHWC")
    return f"{program(entry)} / {entry['reference']}"


def program(entry: Entry) -> str:
    """Return the name of a program of ours: of a variant, the settings that make it one."""
    return str(entry["program"]).removeprefix(OURS).strip() or OURS


def target(entry: Entry, platform: str) -> str:
    """Return the target of a ratio, with its batch size where that is another one."""
    wanted = wanted_ratio(entry, platform)
    if wanted is None:
        return ""
    at = "" if wanted.batch == entry["batch_images"] else f" at batch {wanted.batch}"
    return f"\u2264 {wanted.largest:g}{at}"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _where(entry: Entry) -> str:
    width = f"C={entry['channels']}, " if entry["channels"] else ""
    return f"{entry['case']} {part(entry)}, {width}batch {entry['batch_images']}, {entry['dtype']}, {program(entry)}"


def _table(title: str, columns: Sequence[Column], entries: Sequence[Entry]) -> Table:
    table = Table(title=Text(title), title_justify="left", padding=(0, 1, 0, 0))
    for name, _ in columns:
        table.add_column(
            name, justify="left" if name in _WORDS else "right", no_wrap=name not in _LONG, overflow="fold"
        )
    for entry in entries:
        table.add_row(*(Text(show(entry)) for _, show in columns))
    return table


def _spread_of_seconds(entry: Entry) -> str:
    keys = ("median", "quartile_low", "quartile_high")
    middle, low, high = seconds(*(entry[f"seconds_{key}"] for key in keys))
    return f"{middle} ({low.split()[0]}\u2026{high.split()[0]})"


def _spread_of_ratios(entry: Entry) -> str:
    middle, low, high = (entry[f"time_ratio_{key}"] for key in ("median", "quartile_low", "quartile_high"))
    return f"{middle:.2f} ({low:.2f}\u2026{high:.2f})"


def _limited(entry: Entry, key: str, show: Callable[[float | None], str], platform: str) -> str:
    largest = wanted_limit(entry, key, platform)
    return show(entry[key]) + (f" (\u2264 {show(largest)})" if largest is not None else "")


def _one_time(value: float | None) -> str:
    return seconds(value)[0]


_WORDS = ("case", "part", "type", "program", "relative to", "target")
_LONG = ("program", "relative to", "target")
_HEAD: tuple[Column, ...] = (
    ("case", lambda one: one["case"]),
    ("part", part),
    ("C", lambda one: str(one["channels"] or DASH)),
    ("batch", lambda one: str(one["batch_images"])),
    ("type", lambda one: one["dtype"]),
)
_PROGRAM: Column = ("program", program)


def _ratio_columns(platform: str) -> Sequence[Column]:
    return (
        *_HEAD,
        ("relative to", relation),
        ("time (quartiles)", _spread_of_ratios),
        ("target", lambda one: target(one, platform)),
        ("memory", lambda one: DASH if one["memory_ratio"] is None else f"{one['memory_ratio']:.2f}"),
        ("error", lambda one: f"{one['output_error']:.0e}" if "output_error" in one else DASH),
    )


_TIME_COLUMNS: Sequence[Column] = (
    *_HEAD,
    _PROGRAM,
    ("time (quartiles)", _spread_of_seconds),
    ("images/s", lambda one: _digits(one["images_per_second"])),
    ("M MACs/image", lambda one: f"{one['macs_per_image'] / 1e6:.4g}"),
    ("of peak", lambda one: DASH if one["share_of_peak"] is None else f"{100 * one['share_of_peak']:.1f} %"),
)


def _cost_columns(platform: str) -> Sequence[Column]:
    return (
        *_HEAD,
        _PROGRAM,
        ("trace", lambda one: _one_time(one["trace_seconds"])),
        ("lower", lambda one: _one_time(one["lower_seconds"])),
        ("compile", lambda one: _limited(one, "compile_cold_seconds", _one_time, platform)),
        ("from cache", lambda one: _limited(one, "compile_warm_seconds", _one_time, platform)),
        ("memory", lambda one: _limited(one, "temporary_bytes", gigabytes, platform)),
    )
