"""A number that moves from one value to another over the steps of a search."""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp

from dnas.arguments import at_least_one
from dnas.errors import UserError, unknown
from dnas.types import Array

SHAPES = ("linear", "cosine", "exponential")


class Annealed(NamedTuple):
    """Where an annealed number stands.

    Attributes:
        step: how many steps it has moved, int32.
        value: the number, float32.
    """

    step: Array
    value: Array


@dataclass(frozen=True)
class Annealing:
    """The course of a number, which has its first value at step 0 and stays at its last one from step `steps` on.

    Attributes:
        start: first value.
        end: last value.
        steps: steps between them.
        shape: "linear" falls by equal differences, "exponential" by equal ratios, "cosine" along half a period.

    Raises:
        UserError: for fewer than one step, an unknown shape, or an exponential between values that are not positive.
    """

    start: float
    end: float
    steps: int
    shape: str = "linear"

    def __post_init__(self) -> None:
        at_least_one(steps=self.steps)
        if self.shape not in SHAPES:
            raise unknown("schedule", self.shape, SHAPES)
        if self.shape == "exponential" and min(self.start, self.end) <= 0:
            raise UserError(
                f"an exponential schedule from {self.start} to {self.end}: expected positive values, choose 'linear'"
            )

    def init(self) -> Annealed:
        """Return the state at step 0."""
        return Annealed(jnp.zeros((), jnp.int32), jnp.asarray(self.start, jnp.float32))

    def advance(self, state: Annealed) -> Annealed:
        """Return the state one step later."""
        step = jnp.minimum(state.step + 1, self.steps)
        passed = step.astype(jnp.float32) / self.steps
        if self.shape == "exponential":
            value = self.start * (self.end / self.start) ** passed
        else:
            left = 1.0 - passed if self.shape == "linear" else 0.5 * (1.0 + jnp.cos(jnp.pi * passed))
            value = self.end + (self.start - self.end) * left
        # Compiled arithmetic rounds; the end is to be what was asked for, such as an auxiliary weight of 0.
        return Annealed(step, jnp.where(step < self.steps, value, jnp.asarray(self.end, jnp.float32)))


def temperature(start: float, end: float, steps: int, shape: str = "linear") -> Annealing:
    """Return the course of a temperature.

    Raises:
        UserError: unless both ends are positive, and as `Annealing` does.
    """
    if min(start, end) <= 0:
        raise UserError(f"temperature: expected positive values, got a course from {start} to {end}")
    return Annealing(start, end, steps, shape)
