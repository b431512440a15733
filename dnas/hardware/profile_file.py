"""A device's profile as a JSON file; whoever gets one from elsewhere reads numbers and words, and nothing else."""

import json
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from dnas.costs import CostTable
from dnas.errors import CannotWrite, UserError, reason
from dnas.hardware.margins import Margins, Region
from dnas.hardware.model import EDGES, FITTED, KINDS, TABLE_UNIT, UNITS, WRITTEN, CostModel, Profile, Quality
from dnas.hardware.unsupported import ANY, Patterns

SCHEMA = "dnas.profile/1"
METRICS = tuple(UNITS)
FITTED_DIGITS = 6
"""Significant digits of a fitted table's numbers; further ones mean nothing."""
NUMBERS = ("spearman", "kendall", "r2", "mape")
"""Of an error."""
LARGEST = 2**24
"""Bytes of a profile at most: a table of a space has some thousand numbers."""


class _Wrong(Exception):
    """What is wrong with a profile, and where."""


def write_profile(profile: Profile, path: Path) -> None:
    """Write a profile under a temporary name and rename it; `UserError` if that fails."""
    value = {
        "schema": SCHEMA,
        "name": profile.name,
        "device": profile.device,
        "models": [_to_json(model) for model in profile.models],
    }
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_text(_short(json.dumps(value, indent=1)) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise CannotWrite(path, error) from None


def read_profile(path: Path) -> Profile:
    """Read a profile.

    Raises:
        UserError: if the file cannot be read or is no profile; the message says where.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise _Wrong(f"it has {path.stat().st_size:,} bytes, a profile has at most {LARGEST:,}")
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
        return _profile(value)
    except OSError as error:
        raise UserError(f"cannot read the profile {str(path)!r} ({reason(error)}): check the path") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        why = reason(error)
        raise UserError(f"{str(path)!r} is no profile: it is not JSON ({why}); make one with dnas profile") from None
    except _Wrong as wrong:
        raise UserError(f"{str(path)!r} is no valid profile: {wrong}; mend it, or make one with dnas profile") from None


def _profile(value: Any) -> Profile:
    found = _take(_mapping("the file", value), "schema", str, "the file")
    if found != SCHEMA:
        raise _Wrong(f"expected the schema {SCHEMA!r}, got {found!r}")
    name = _take(value, "name", str, "the file")
    models = _take(value, "models", list, "the file")
    if not models:
        raise _Wrong("it has no models")
    device = _take(value, "device", str, "the file")
    return Profile(name, device, tuple(_model(name, f"models[{index}]", one) for index, one in enumerate(models)))


def _model(name: str, where: str, value: Any) -> CostModel:
    value = _mapping(where, value)
    metric = _one_of(where, "metric", _take(value, "metric", str, where), METRICS)
    unit = _take(value, "unit", str, where)
    if unit != TABLE_UNIT[metric]:
        raise _Wrong(f"{where}: expected {metric} in {TABLE_UNIT[metric] or 'plain numbers'!r}, got the unit {unit!r}")
    groups = _take(value, "groups", dict, where)
    if not groups:
        raise _Wrong(f"{where}: it has no groups")
    batch_size = _take(value, "batch_size", int, where)
    if batch_size < 1:
        raise _Wrong(f"{where}: expected a batch_size of 1 or more, got {batch_size}")
    rows = {group: _rows(f"{where}, group {group!r}", one) for group, one in groups.items()}
    return CostModel(
        name=name,
        metric=metric,
        kind=_one_of(where, "kind", _take(value, "kind", str, where), KINDS),
        space=_take(value, "space", str, where),
        ops={group: tuple(one["ops"]) for group, one in groups.items()},
        table=CostTable(_number(where, "base", _take(value, "base", float, where)), rows),
        network=_mapping(f"{where}, network", value.get("network", {})),
        batch_size=batch_size,
        dtype=_take(value, "dtype", str, where),
        source=_take(value, "source", str, where),
        quality=_quality(f"{where}, quality", value["quality"]) if value.get("quality") else None,
        unsupported=_patterns(f"{where}, unsupported", value["unsupported"], rows, groups)
        if value.get("unsupported")
        else None,
        edges=_edges(where, value.get("edges", WRITTEN)),
    )


def _edges(where: str, value: Any) -> str:
    if value not in tuple(EDGES):
        raise _Wrong(f"{where}: expected 'edges' to be one of {', '.join(EDGES)}, got {value!r}")
    return str(value)


def _rows(where: str, value: Any) -> np.ndarray:
    value = _mapping(where, value)
    ops = _take(value, "ops", list, where)
    if not ops or not all(isinstance(op, str) for op in ops) or len(set(ops)) != len(ops):
        raise _Wrong(f"{where}: expected the names of the operations, all different, got {ops!r}")
    costs = _take(value, "costs", list, where)
    if not costs:
        raise _Wrong(f"{where}: it has no edges")
    for edge, row in enumerate(costs):
        if not isinstance(row, list) or len(row) != len(ops):
            raise _Wrong(f"{where}, edge {edge}: expected {len(ops)} numbers, one for each operation, got {row!r}")
    return np.array(
        [
            [math.nan if one is None else _number(where, f"edge {edge}", one) for one in row]
            for edge, row in enumerate(costs)
        ],
        np.float64,
    )


def _patterns(where: str, value: Any, rows: Mapping[str, np.ndarray], groups: Mapping[str, Any]) -> Patterns:
    found = {}
    for name, patterns in _mapping(where, value).items():
        if name not in rows:
            raise _Wrong(f"{where}: {name!r} is no group of this model")
        known, edges = {ANY, *groups[name]["ops"]}, len(rows[name])
        if not isinstance(patterns, list):
            raise _Wrong(f"{where}, group {name!r}: expected a list of patterns, got {patterns!r}")
        for one in patterns:
            if not isinstance(one, list) or len(one) != edges or not all(isinstance(word, str) for word in one):
                raise _Wrong(f"{where}, group {name!r}: expected patterns of {edges} words, got {one!r}")
            strange = [op for word in one for op in word.split() or [word] if op not in known]
            if strange:
                raise _Wrong(f"{where}, group {name!r}: {strange[0]!r} is no operation of this group and not {ANY!r}")
        found[name] = tuple(tuple(one) for one in patterns)
    return found


def _quality(where: str, value: Any) -> Quality:
    value = _mapping(where, value)
    shares = {name: _number(where, name, _take(value, name, float, where), -math.inf) for name in NUMBERS}
    regions = tuple(
        Region(
            _number(where, "upto", _take(_mapping(where, one), "upto", float, where)),
            _margins(where, one.get("margins", {})),
        )
        for one in _take({"regions": value.get("regions", [])}, "regions", list, where)
    )
    if any(a.upto > b.upto for a, b in pairwise(regions)):
        raise _Wrong(f"{where}, regions: expected increasing costs 'upto'")
    networks = _take(value, "networks", int, where)
    return Quality(networks=networks, **shares, margins=_margins(where, value.get("margins", {})), regions=regions)


def _margins(where: str, value: Any) -> dict[str, float]:
    margins = _mapping(f"{where}, margins", value)
    try:
        wrong = [share for share in margins if not 0 < float(share) < 1]
    except ValueError:
        wrong = list(margins)
    if wrong:
        raise _Wrong(f"{where}, margins: expected shares between 0 and 1, got {wrong[0]!r}")
    return {share: _number(where, f"margin {share}", one, -1.0) for share, one in margins.items()}


def _to_json(model: CostModel) -> dict[str, Any]:
    digits = FITTED_DIGITS if model.kind == FITTED else 9
    costs = {
        name: [[None if math.isnan(one) else significant(one, digits) for one in row] for row in rows.tolist()]
        for name, rows in model.table.rows.items()
    }
    quality = model.quality
    return {
        "metric": model.metric,
        "unit": model.unit,
        "kind": model.kind,
        "space": model.space,
        "network": dict(model.network),
        "batch_size": model.batch_size,
        "dtype": model.dtype,
        "source": model.source,
        "quality": None if quality is None else _errors(quality),
        "unsupported": {name: [list(one) for one in own] for name, own in (model.unsupported or {}).items()},
        "edges": model.edges,
        "base": significant(model.table.base, digits),
        "groups": {name: {"ops": list(model.ops[name]), "costs": rows} for name, rows in costs.items()},
    }


def _errors(quality: Quality) -> dict[str, Any]:
    def short(margins: Margins) -> dict[str, float]:
        return {share: significant(margin) for share, margin in margins.items()}

    numbers = {name: significant(getattr(quality, name)) for name in NUMBERS}
    regions = [{"upto": significant(one.upto), "margins": short(one.margins)} for one in quality.regions]
    return {"networks": quality.networks, **numbers, "margins": short(quality.margins), "regions": regions}


def significant(value: float, digits: int = FITTED_DIGITS) -> float:
    """Return a number with so many significant digits, as the file has it."""
    return float(f"{value:.{digits}g}")


def _short(text: str) -> str:
    """Return indented JSON with each innermost list on one line."""
    return re.sub(r"\[\s+([^][{}]*?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text)


def _mapping(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"{where}: expected an object, got {type(value).__name__}")
    return value


def _take(value: Mapping[str, Any], name: str, kind: type, where: str) -> Any:
    if name not in value:
        raise _Wrong(f"{where}: {name!r} is missing")
    found = value[name]
    right = isinstance(found, (int, float) if kind is float else kind) and not isinstance(found, bool)
    if not right:
        raise _Wrong(f"{where}: expected {name!r} to be of type {kind.__name__}, got {found!r}")
    return found


def _one_of(where: str, what: str, value: str, options: tuple[str, ...]) -> str:
    if value not in options:
        raise _Wrong(f"{where}: expected a {what} among {', '.join(options)}, got {value!r}")
    return value


def _number(where: str, what: str, value: Any, least: float = 0.0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least:
        bound = f" that is not below {least:g}" if math.isfinite(least) else ""
        raise _Wrong(f"{where}, {what}: expected a number{bound}, got {value!r}")
    return float(value)


def _no_constant(word: str) -> float:
    raise _Wrong(f"expected finite numbers, got {word}")
