"""Multiply-adds of the cases against closed forms, at a small size."""

from collections.abc import Callable
from typing import Any

import jax
import pytest

from dnas.bench.cases import build
from dnas.bench.points import FORWARD, GRADIENT, STEP
from dnas.macs import count_macs

BATCH, CLASSES = 4, 10


def counted(case: Any, part: str) -> int:
    program = case.programs[part]()
    shapes = jax.eval_shape(lambda: program.arguments)
    return count_macs(program.function, *shapes)


def darts_forward(channels: int, nodes: int, side: int) -> tuple[int, int]:
    """Return multiply-adds of an image in a DARTS supernet of 3 cells, and those of its stem.

    The first cell is normal, the second and third reduce. The separable convolution of 3x3 takes two depthwise
    convolutions and two products of C, the first after the stride; the dilated one of 5x5 takes one of each.
    """
    stem = side**2 * 9 * 3 * 3 * channels
    total, first, second = stem, 3 * channels, 3 * channels
    for reduces in (False, True, True):
        channels *= 2 if reduces else 1
        # What the first input is brought to: the size of the second.
        pixels = side**2
        total += pixels * first * channels + pixels * second * channels
        inside = pixels // 4 if reduces else pixels
        kernels, products = 2 * 9 + 25, (2 + 1) * channels
        edges = nodes * (nodes + 3) // 2
        total += edges * inside * channels * (kernels + products)
        if reduces:
            # skip_connect is two 1x1 convolutions to half the channels on the edges from the two inputs.
            total += 2 * nodes * inside * channels * channels
            side //= 2
        first, second = second, nodes * channels
    return total + second * CLASSES, stem


def nasbench201_forward(channels: int, cells: int, side: int) -> tuple[int, int]:
    """Return multiply-adds of an image in a NAS-Bench-201 supernet, and those of its stem."""
    stem = side**2 * 9 * 3 * channels
    total = stem
    for stage in range(3):
        if stage:
            side //= 2
            total += side**2 * (9 * channels * 2 * channels + 9 * 4 * channels**2 + channels * 2 * channels)
            channels *= 2
        total += cells * 6 * side**2 * (9 + 1) * channels**2
    return total + channels * CLASSES, stem


@pytest.mark.parametrize(
    ("name", "closed_form"),
    [("darts", darts_forward(2, 2, 8)), ("nasbench201", nasbench201_forward(2, 2, 8))],
    ids=["darts", "nasbench201"],
)
def test_a_supernet_counts_its_closed_form(
    name: str, closed_form: tuple[int, int], tiny_point: Callable[..., Any]
) -> None:
    case, (forward, stem) = build(tiny_point(name)), closed_form
    assert counted(case, FORWARD) == BATCH * forward
    # Backwards every layer costs two more of itself, but nothing asks for the gradient of the images. A supernet may
    # compute its operations once more instead of keeping what they need.
    least = BATCH * (3 * forward - stem)
    assert least <= counted(case, GRADIENT) <= least + BATCH * (forward - stem)


def test_a_step_is_two_gradients_less_what_alpha_does_not_need(tiny_point: Callable[..., Any]) -> None:
    case = build(tiny_point("nasbench201", **{"space.cells": 1, "space.ops": ("none", "nor_conv_3x3")}))
    one = counted(case, GRADIENT)
    assert 1.5 * one < counted(case, STEP) < 2 * one
    assert case.programs[STEP]().images == 2 * case.programs[GRADIENT]().images == 2 * BATCH


def test_the_derived_network_trains_as_it_is_differentiated(tiny_point: Callable[..., Any]) -> None:
    case = build(tiny_point("derived"))
    assert counted(case, STEP) == counted(case, GRADIENT)
    assert counted(case, GRADIENT) < 3 * counted(case, FORWARD) + 3 * BATCH * 10**6
    assert case.programs[STEP]().images == BATCH
