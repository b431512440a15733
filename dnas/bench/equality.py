"""Whether another framework computes what ours does: a ratio of times says nothing otherwise.

Logits are compared at the size that is timed. Gradients are compared on a small network of the same settings: in
float32 those of a deep one are not determined well enough, since a rounding error that turns the sign of an activation,
or the winner of a pool, sends a gradient elsewhere. (The gradient of the derived network with 20 cells differs by
several percent between two memory layouts of one framework.) A small network meets such an accident rarely, and not
again with other images.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from dnas.bench.cases import Case, Gradient, build
from dnas.bench.compiling import prepare
from dnas.bench.points import DERIVED, FORWARD, GRADIENT, Point
from dnas.bench.ready import Ready
from dnas.bench.rivals import Errors, Rival, Rivals

TOLERANCE = 1e-4
"""How far logits and gradients may be apart, relative to their size."""
ATTEMPTS = 5
"""Sets of images that are tried before gradients count as different."""
CHANNELS, CELLS, BATCH = 4, 3, 4
"""Size of the small network at most."""


class Unequal(Exception):
    """Another framework's numbers are not ours."""


class Equality:
    """Compares a framework's numbers with ours, the gradients once for each choice of settings."""

    def __init__(self, rivals: Rivals) -> None:
        self.rivals = rivals
        self._known: list[tuple[Point, Mapping[str, Errors]]] = []

    def gradients(self, point: Point) -> Mapping[str, Errors]:
        """Return how far logits and gradients are apart on a small network like that of `point`, by label.

        Raises:
            Unequal: if by more than `TOLERANCE` for all images that were tried.
        """
        own = small(point)
        for before, found in self._known:
            if before == own:
                return found
        with jax.default_matmul_precision("highest"):
            compiled = prepare(build(own).programs[GRADIENT]())[0]
        least: dict[str, Errors] = {}
        for seed in range(ATTEMPTS):
            case = build(own, seed)
            expected = Gradient(*compiled(*case.programs[GRADIENT]().arguments))
            for label, rival in self.rivals.build(case).items():
                errors = rival.compare(expected)
                if label not in least or max(errors) < max(least[label]):
                    least[label] = errors
            if all(_equal(errors) for errors in least.values()):
                self._known.append((own, least))
                return least
        label, worst = max(least.items(), key=lambda item: max(item[1]))
        raise Unequal(
            f"{label} does not compute what ours does: on a small network logits differ by {worst.output:.1e} and the "
            f"gradient by {worst.gradient:.1e} of their size, {TOLERANCE:.0e} are allowed"
        )


def logits(case: Case, ready: Mapping[str, Ready], rivals: Mapping[str, Rival]) -> dict[str, float]:
    """Return how far the logits of `rivals` are from those of `case`, relative to the largest, by label.

    Args:
        case: ours at the size that is timed.
        ready: its programs, by part.
        rivals: the same in another framework.

    Raises:
        Unequal: if by more than `TOLERANCE`.
    """
    expected = _logits(case, ready)
    found = {}
    for label, rival in rivals.items():
        found[label] = relative(expected, rival.logits())
        if not found[label] <= TOLERANCE:
            raise Unequal(
                f"{label} does not compute what ours does: logits differ by {found[label]:.1e} of the largest, "
                f"{TOLERANCE:.0e} are allowed"
            )
    return found


def small(point: Point) -> Point:
    """Return a small network with the settings of `point`, in float32."""
    names = {"channels": CHANNELS, "cells": CELLS}
    least = {f"{point.prefix}.{name}": most for name, most in names.items()}
    settings = {name: min(value, least[name]) if name in least else value for name, value in point.settings.items()}
    settings[f"{point.prefix}.dtype"] = "float32"
    # The auxiliary head is made for images of 32x32.
    image = 32 if point.case == DERIVED else 8
    return replace(point, batch=BATCH, image=min(point.image, image), settings=settings)


def relative(wanted: np.ndarray, found: np.ndarray) -> float:
    """Return the largest difference, relative to the largest wanted value."""
    return float(np.abs(wanted - found).max() / np.abs(wanted).max())


def compare(
    wanted: tuple[np.ndarray, Mapping[str, np.ndarray]], found: tuple[np.ndarray, Mapping[str, np.ndarray]]
) -> Errors:
    """Return how far found logits and gradients are from the wanted ones; both have the same names."""
    grads, others = wanted[1], found[1]
    differences = {path: float(np.linalg.norm(grads[path] - others[path])) for path in grads}
    lengths = {path: float(np.linalg.norm(value)) for path, value in grads.items()}
    return Errors(
        output=relative(wanted[0], found[0]),
        gradient=float(np.linalg.norm(list(differences.values())) / np.linalg.norm(list(lengths.values()))),
    )


def _equal(errors: Errors) -> bool:
    return max(errors) <= TOLERANCE


def _logits(case: Case, ready: Mapping[str, Ready]) -> np.ndarray:
    """Return our logits in float32 throughout, by a program that is timed where that is such."""
    if case.point.dtype == "float32" and jax.default_backend() == "cpu":
        for part in (GRADIENT, FORWARD):
            one = ready.get(part)
            if one is not None and one.compiled is not None:
                result: Any = one.compiled(*one.program.arguments)
                return np.asarray(Gradient(*result).logits if part == GRADIENT else result[0])
    settings = {**case.point.settings, f"{case.point.prefix}.dtype": "float32"}
    program = build(replace(case.point, settings=settings)).programs[FORWARD]()
    with jax.default_matmul_precision("highest"):
        return np.asarray(prepare(program)[0](*program.arguments)[0])
