"""The course of a temperature or of a rate, and the relaxations that have one."""

from collections.abc import Callable

import jax
import numpy as np
import pytest

from dnas.relaxations import auxiliary_skip, gdas, gumbel_softmax
from dnas.relaxations._annealing import Annealing
from dnas.types import Group

SPEC = {"g": Group(1, ("skip_connect", "sep_conv_3x3"))}


def course(annealing: Annealing, steps: int) -> np.ndarray:
    def step(state, _):
        return annealing.advance(state), state.value

    return np.asarray(jax.lax.scan(step, annealing.init(), length=steps)[1])


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("linear", [10, 7.6, 5.2, 2.8, 0.4, 0.4, 0.4]),
        ("exponential", [10, 10 * 0.04**0.25, 2, 2 * 0.04**0.25, 0.4, 0.4, 0.4]),
        ("cosine", [10, 5.2 + 4.8 / np.sqrt(2), 5.2, 5.2 - 4.8 / np.sqrt(2), 0.4, 0.4, 0.4]),
    ],
)
def test_course(shape: str, expected: list[float]) -> None:
    np.testing.assert_allclose(course(Annealing(10.0, 0.4, 4, shape), 7), expected, rtol=1e-5)


def test_a_course_reaches_its_end_over_many_steps() -> None:
    values = course(Annealing(1.0, 0.0, 5000), 5002)
    np.testing.assert_allclose(values[:5001], 1 - np.arange(5001) / 5000, atol=1e-6)
    assert values[5000] == values[5001] == 0


def test_relaxations_take_their_course() -> None:
    for relaxation, read, start, end in (
        (gdas(steps=2), lambda state: state.value, 10.0, 0.1),
        (gumbel_softmax(steps=2), lambda state: state.value, 1.0, 0.03),
        (auxiliary_skip(steps=2), lambda state: state.beta.value, 1.0, 0.0),
    ):
        alpha, state = relaxation.init(jax.random.key(0), SPEC)
        seen = []
        for _ in range(4):
            seen.append(float(read(state)))
            alpha, state = relaxation.advance(jax.random.key(0), alpha, alpha, state)
        np.testing.assert_allclose(seen, [start, (start + end) / 2, end, end], rtol=1e-6)


def test_bad_courses(sentence: Callable) -> None:
    with sentence("steps", "at least 1", 0):
        gdas(steps=0)
    with sentence("schedule", "'sine'", "cosine"):
        gumbel_softmax(schedule="sine")
    with sentence("temperature", "positive", -1.0):
        gumbel_softmax(end=-1.0)
    with sentence("exponential", "positive", "linear"):
        auxiliary_skip(schedule="exponential")
