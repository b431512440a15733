"""The README's example of a method of one's own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.run import config
from dnas.run.settings import from_signature
from experiments.own_method import cooled, cooled_darts


def test_the_softmax_cools_down_to_the_coldest() -> None:
    relaxation = cooled(4, 0.5)
    alpha, step = {"group": jnp.array([[1.0, 0.0]])}, jnp.zeros(())
    temperatures = []
    for _ in range(6):
        (weight, other) = relaxation.expected(alpha, step)["group"][0]
        temperatures.append(1 / float(jnp.log(weight / other)))
        alpha, step = relaxation.advance(jax.random.key(0), alpha, alpha, step)
    np.testing.assert_allclose(temperatures, [1, 0.875, 0.75, 0.625, 0.5, 0.5], rtol=1e-5)


def test_it_is_found_on_the_command_line_with_its_settings(monkeypatch: pytest.MonkeyPatch, pytestconfig: Any) -> None:
    monkeypatch.chdir(pytestconfig.rootpath)
    found = config.method_of("experiments.own_method:cooled_darts")
    assert found is cooled_darts
    assert from_signature("search", found)["search.coldest"].help == "the last temperature."
