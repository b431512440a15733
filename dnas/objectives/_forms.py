"""What penalties share: checked settings, costs relative to their limits, and penalties that remember nothing."""

import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from dnas.errors import UserError
from dnas.types import Array, Penalty

Limits = Sequence[float]
"""The greatest affordable costs, `(L,)` positive numbers in the units of the costs."""


def checked(limits: Limits) -> np.ndarray:
    """Return limits as an array `(L,)`; `UserError` unless there is one and all are positive and finite."""
    found = np.asarray(limits, np.float64)
    if found.ndim != 1 or not found.size or not (np.isfinite(found) & (found > 0)).all():
        raise UserError(
            f"limits: expected one or more positive numbers, got {found.tolist()}; give each cost its limit"
        )
    return found


def at_least(least: float, **settings: float) -> None:
    """Raise `UserError` unless each setting is a finite number of at least `least`."""
    for name, value in settings.items():
        if not (math.isfinite(value) and value >= least):
            raise UserError(f"{name} is {value:g}: choose {least:g} or a greater value")


def positive(**settings: float) -> None:
    """Raise `UserError` unless each setting is a positive finite number."""
    for name, value in settings.items():
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"{name} is {value:g}: choose a value greater than 0")


def matching(costs: Array, limits: np.ndarray) -> Array:
    """Return the limits `(L,)` in the type of the costs; `ValueError` where there are more of one than of the other."""
    if costs.shape != limits.shape:
        raise ValueError(f"costs: expected {limits.shape}, one for each limit, got {costs.shape}")
    return jnp.asarray(limits, costs.dtype)


def shares(costs: Array, limits: np.ndarray) -> Array:
    """Return `(L,)`, costs as shares of their limits."""
    return costs / matching(costs, limits)


def logarithm(costs: Array) -> Array:
    """Return the natural logarithm of costs from e units on, and below its tangent in e, which is `costs / e`.

    Forms with a power of the logarithm need it positive, which it is not below one unit. Continued by this tangent it
    stays positive and smooth, and more cost is always more.
    """
    above = jnp.maximum(costs, math.e)
    return jnp.where(costs > math.e, jnp.log(above), jnp.maximum(costs, jnp.finfo(costs.dtype).tiny) / math.e)


def stateless(total: Callable[[Array, Array], Array]) -> Penalty:
    """Return the penalty with this `(loss, costs) -> ()`, which remembers nothing from step to step."""
    return Penalty(
        init=lambda: (),
        total=lambda loss, costs, state: total(loss, costs),
        advance=lambda costs, state: state,
    )
