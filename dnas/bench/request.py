"""From what the user asked for to the tasks of a benchmark; everything that can be refused is refused here."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dnas.arguments import at_least_one
from dnas.bench.cases import check
from dnas.bench.measure import Task
from dnas.bench.points import DERIVED, Point, point, table
from dnas.errors import UserError, unknown
from dnas.run import settings

DEFAULT_CASES = ("darts", "nasbench201", DERIVED)
BATCH = 16
SWEEP_BATCHES = (16, 32, 64, 128, 256)
SWEEP_BATCH = 32
"""Images in a minibatch while the channels grow."""
SWEEP_WIDTHS = (0.5, 1.0, 2.0)
"""Channels of a sweep, relative to the case's own."""
DTYPES = ("float32", "bfloat16")
METHOD = "method"
"""The one name of a variant that is not a setting: the search method whose step is measured."""


@dataclass(frozen=True)
class Request:
    """A benchmark as a user asks for it; an empty sequence takes the default.

    Attributes:
        cases: names of search spaces, and `derived`.
        batches: minibatch sizes.
        channels: channels C of the first cells.
        dtypes: types of the computation.
        sweep: whether sizes left open grow, one at a time: batch sizes first, then channels.
        image: height and width of images in pixels.
        method: search method whose step is measured.
        assignments: `NAME=VALUE` settings of all programs; a case ignores what another one has.
        variants: `NAME=VALUE,...` settings, each of which is measured beside the plain program.
    """

    cases: Sequence[str] = ()
    batches: Sequence[int] = ()
    channels: Sequence[int] = ()
    dtypes: Sequence[str] = ()
    sweep: bool = False
    image: int = 32
    method: str = "darts"
    assignments: Sequence[str] = ()
    variants: Sequence[str] = ()


def tasks(request: Request) -> list[Task]:
    """Return what is measured, in order.

    Raises:
        UserError: for an unknown name, a value of the wrong type or out of its range, or images that do not fit.
    """
    cases = request.cases or DEFAULT_CASES
    tables = {case: table(case, request.method) for case in cases}
    _known("--set", [word.partition("=")[0] for word in request.assignments], tables.values())
    for words in request.variants:
        _known("--variant", [name for name, _ in _pairs(words) if name != METHOD], tables.values())
    for dtype in request.dtypes:
        if dtype not in DTYPES:
            raise unknown("dtype", dtype, DTYPES)
    for width in request.channels:
        at_least_one(**{"--channels": width})
    found = []
    for case in cases:
        own = [word for word in request.assignments if word.partition("=")[0] in tables[case]]
        chosen = settings.parse(tables[case], own)
        for dtype in request.dtypes or ("float32",):
            for batch, channels in _sizes(request, case, chosen):
                found.append(_task(request, case, batch, {**chosen, **_sized(tables[case], case, dtype, channels)}))
    for first in {one.point.case: one for one in reversed(found)}.values():
        for each in first.programs.values():
            check(each)
    return found


def _sizes(request: Request, case: str, chosen: dict[str, Any]) -> list[tuple[int, int | None]]:
    """Return (batch, channels) pairs; `None` leaves the channels as they are set."""
    if not request.sweep:
        return [(batch, width) for batch in request.batches or (BATCH,) for width in request.channels or (None,)]
    own = point(case, 1, request.image, request.method, chosen).channels
    widths = list(request.channels) or [max(1, round(factor * own)) for factor in SWEEP_WIDTHS if own]
    batches = list(request.batches) or list(SWEEP_BATCHES)
    middle = SWEEP_BATCH if SWEEP_BATCH in batches else batches[0]
    growing: list[tuple[int, int | None]] = [(batch, own or None) for batch in batches]
    return list(dict.fromkeys(growing + [(middle, width) for width in widths]))


def _sized(names: settings.Table, case: str, dtype: str, channels: int | None) -> dict[str, Any]:
    """Return the settings that stand for a dtype and a number of channels."""
    prefix = "retrain" if case == DERIVED else "space"
    wanted: dict[str, Any] = {f"{prefix}.dtype": dtype}
    if channels is not None:
        wanted[f"{prefix}.channels"] = channels
    for name, value in wanted.items():
        if name not in names and value != "float32":
            raise UserError(f"case {case!r} has no setting {name!r}: leave out the option, or leave out the case")
    return {name: value for name, value in wanted.items() if name in names}


def _task(request: Request, case: str, batch: int, chosen: dict[str, Any]) -> Task:
    plain = point(case, batch, request.image, request.method, chosen)
    variants: dict[str, Point] = {}
    for words in request.variants:
        pairs = dict(_pairs(words))
        method = pairs.pop(METHOD, request.method)
        names = table(case, method)
        # A case that has none of the names is measured without the variant.
        if all(name in names for name in pairs) and (pairs or case != DERIVED):
            kept = {name: value for name, value in chosen.items() if name in names}
            given = settings.parse(names, [f"{name}={value}" for name, value in pairs.items()])
            variants[words] = point(case, batch, request.image, method, {**kept, **given})
    return Task(plain, variants)


def _pairs(words: str) -> list[tuple[str, str]]:
    """Split `A=1,B=x,y` into names and values; a comma belongs to a value unless a name follows it."""
    pairs = []
    for word in re.split(r",(?=[\w.]+=)", words):
        name, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"--variant {words!r}: expected NAME=VALUE, or several with commas between them")
        pairs.append((name, value))
    return pairs


def _known(option: str, names: Iterable[str], tables: Iterable[settings.Table]) -> None:
    every = {name for one in tables for name in one}
    for name in names:
        if name not in every:
            raise unknown(f"{option} setting", name, every)
