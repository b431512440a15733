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


@pytest.mark.parametrize(("space", "preset"), [("darts", "tiny"), ("nasbench201", "small"), ("hypercuboid", "tiny")])
def test_a_preset_asks_nothing_of_it_that_it_does_not_have(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: Any, sentence: Any, space: str, preset: str
) -> None:
    monkeypatch.chdir(pytestconfig.rootpath)
    request = {"space": space, "method": "experiments.own_method:cooled_darts", "preset": preset, "data": None}
    made = config.make(config.SEARCH, **request, seed=0, baseline=None, assignments=("search.coldest=0.2",))
    assert made.values["search.coldest"] == 0.2
    assert "search.alpha_beta1" not in made.values
    with sentence("unknown setting", "search.alpha_beta1"):
        config.make(config.SEARCH, **request, seed=0, baseline=None, assignments=("search.alpha_beta1=0.2",))
