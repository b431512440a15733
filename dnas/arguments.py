"""Checks of the arguments that search spaces share."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp

from dnas.errors import UserError, unknown


def at_least_one(**values: int) -> None:
    """Raise `UserError` unless every value is at least 1."""
    for name, value in values.items():
        if value < 1:
            raise UserError(f"{name}: expected at least 1, got {value}")


def changed(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a space's settings with those changed that a method asks for; `UserError` for one that it lacks."""
    for name in changes:
        if name not in settings:
            raise UserError(
                f"this search space has no setting {name!r}, which the method changes: choose another method or space"
            )
    return {**settings, **changes}


def check_classes(classes: int) -> None:
    """Raise `UserError` unless there are at least two classes."""
    if classes < 2:
        raise UserError(f"classes: expected at least 2, got {classes}")


def check_ops(ops: tuple[str, ...], known: Iterable[str]) -> None:
    """Raise `UserError` unless `ops` are different ones of `known`, and not only `none`."""
    known = tuple(known)
    for op in ops:
        if op not in known:
            raise unknown("operation", op, known)
    if len(set(ops)) < len(ops):
        raise UserError(f"space.ops: expected different operations, got {', '.join(ops)}")
    if not set(ops) - {"none"}:
        raise UserError(f"space.ops: expected at least one operation beside 'none', got {', '.join(ops) or 'nothing'}")


def check_partial_channels(partial_channels: int, channels: int) -> None:
    """Raise `UserError` unless the channels can be divided into so many equal parts."""
    at_least_one(**{"space.partial_channels": partial_channels})
    if channels % partial_channels:
        raise UserError(
            f"space.partial_channels={partial_channels}: expected a divisor of space.channels, which are {channels}"
        )


def refuse_partial(partial_channels: int) -> None:
    """Raise `UserError` if only some channels go through a supernet's operations, for what a network inherits."""
    if partial_channels > 1:
        raise UserError(
            f"a supernet with space.partial_channels={partial_channels} has operations of "
            f"1/{partial_channels} of the channels, which a derived network cannot inherit: train it from the start"
        )


def dtype(name: str) -> jnp.dtype:
    """Return the type of a computation by its name; `UserError` for an unknown one."""
    if name not in ("float32", "bfloat16"):
        raise unknown("dtype", name, ("float32", "bfloat16"))
    return jnp.dtype(name)
