"""Limits as a user writes them: `latency=12ms`, `raspi4.latency=12ms`, `params=1M`."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from dnas.errors import UserError, unknown
from dnas.hardware.model import TABLE_UNIT, UNITS, CostModel

VALUE = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)\s*")
EXAMPLES = "latency=12ms, raspi4.latency=12ms or params=1M"


class Limit(NamedTuple):
    """A greatest affordable cost.

    Attributes:
        model: index of the cost model that it limits, among those it was read with.
        title: the model's title, such as `raspi4.latency`.
        value: in the unit of the model's table.
    """

    model: int
    title: str
    value: float


def read_limits(words: Sequence[str], models: Sequence[CostModel]) -> tuple[Limit, ...]:
    """Read limits, each on one of the models.

    Args:
        words: such as `latency=12ms`; the device before the metric may be left out where one model has the metric.
        models: what may be limited.

    Raises:
        UserError: for a word of another form, an unknown device, metric or unit, a value that is not positive, a metric
            of several models, or a model that is limited twice.
    """
    limits = tuple(_limit(word, models) for word in words)
    for place, limit in enumerate(limits):
        if any(limit.model == earlier.model for earlier in limits[:place]):
            raise UserError(f"{limit.title} is limited twice, by {', '.join(words)}: keep one of the limits")
    return limits


def amount(value: float, metric: str) -> str:
    """Return a cost in the unit of its table, for a sentence: `12.3 ms`, `1,203,000`."""
    unit = TABLE_UNIT[metric]
    return f"{value:,.4g} {unit}" if unit in ("ms", "mJ") else f"{value:,.0f} {unit}".rstrip()


def _limit(word: str, models: Sequence[CostModel]) -> Limit:
    title, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"limit {word!r}: expected a cost, '=' and a value, such as {EXAMPLES}")
    index = _model(word, title.strip(), models)
    model = models[index]
    return Limit(index, model.title, _value(word, value, model.metric))


def _model(word: str, title: str, models: Sequence[CostModel]) -> int:
    device, dot, metric = title.rpartition(".")
    if metric not in UNITS:
        raise unknown(f"cost in the limit {word!r}", metric, UNITS)
    found = [index for index, model in enumerate(models) if model.metric == metric and device in ("", model.name)]
    if dot and not any(model.name == device for model in models):
        raise unknown(f"device in the limit {word!r}", device, sorted({model.name for model in models}))
    if not found:
        known = ", ".join(sorted({model.title for model in models})) or "nothing"
        raise UserError(
            f"limit {word!r}: no given hardware has a known {metric}; give a profile with it, or limit one of: {known}"
        )
    if len(found) > 1:
        titles = [models[index].title for index in found]
        advice = "name one of them" if len(set(titles)) == len(titles) else "give one model of each"
        raise UserError(f"limit {word!r}: several models have a {metric}, {', '.join(titles)}: {advice}")
    return found[0]


def _value(word: str, text: str, metric: str) -> float:
    units = UNITS[metric]
    match = VALUE.fullmatch(text)
    if match is None:
        raise UserError(f"limit {word!r}: expected a number and a unit after '=', got {text!r}; write {EXAMPLES}")
    number, unit = float(match[1]), match[2]
    if unit not in units:
        known = ", ".join(filter(None, units)) + (" or none" if "" in units else "")
        raise UserError(f"limit {word!r}: expected a unit of {metric}, {known}, got {unit or 'none'!r}; write one")
    value = number * units[unit]
    if not (math.isfinite(value) and value > 0):
        raise UserError(f"limit {word!r}: expected a value greater than 0, got {match[1]}; raise it")
    return value
