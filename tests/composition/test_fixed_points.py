"""Where a search on the solvable problem comes to rest, for each hypergradient.

At rest w = alpha, and the estimate vanishes. Where it is (w - 2) + s * alpha, that is at 2 / (1 + s); the true
hypergradient has s = 1.
"""

from typing import Any

import numpy as np
import optax
import pytest

from dnas.hypergradients.conjugate_gradient import conjugate_gradient
from dnas.hypergradients.first_order import first_order
from dnas.hypergradients.k_step import k_step
from dnas.hypergradients.multi_block import multi_block
from dnas.hypergradients.neumann import neumann
from dnas.hypergradients.unrolled import unrolled
from dnas.hypergradients.unrolled_fd import unrolled_fd
from dnas.search import compose
from dnas.splitting import split_search
from dnas.types import Hypergradient

RATE = 0.1
"""The weights' learning rate: a virtual step of xi times the optimiser's has the paper's length xi * RATE."""
SERIES = 1.0 - (1.0 - 2.0 * RATE) ** 3
"""What three steps, or three terms, make up of s."""


@pytest.mark.parametrize(
    ("hypergradient", "share"),
    [
        pytest.param(first_order(), 0.0, id="first_order"),
        *(pytest.param(unrolled(xi / RATE), 2 * xi, id=f"unrolled-{xi}") for xi in (0.0, 0.1, 0.5, 0.7)),
        *(pytest.param(unrolled_fd(xi / RATE), 2 * xi, id=f"unrolled_fd-{xi}") for xi in (0.0, 0.1, 0.5, 0.7)),
        pytest.param(k_step(3), SERIES, id="k_step"),
        pytest.param(neumann(3), SERIES, id="neumann"),
        pytest.param(neumann(60), 1.0, id="neumann-long"),
        pytest.param(conjugate_gradient(damping=0.0), 1.0, id="conjugate_gradient"),
        pytest.param(conjugate_gradient(damping=2.0), 0.5, id="conjugate_gradient-damped"),
        pytest.param(multi_block(damping=0.0), 1.0, id="multi_block"),
        pytest.param(multi_block(damping=2.0), 0.5, id="multi_block-damped"),
    ],
)
def test_where_a_search_comes_to_rest(toy: Any, hypergradient: Hypergradient, share: float) -> None:
    states, _ = toy.run(toy.search(compose, hypergradient=hypergradient), 800)
    expected = 2.0 / (1.0 + share)
    np.testing.assert_allclose(states.alpha["toy"][-1, 0, 0], expected, rtol=2e-4)
    np.testing.assert_allclose(states.params["w"][-1], expected, rtol=2e-4)


@pytest.mark.parametrize(("balance", "coupling"), [(10.0, 10.0), (1.0, 1.0), (30.0, 5.0)])
def test_where_a_split_search_comes_to_rest(toy: Any, balance: float, coupling: float) -> None:
    slow = {"weight_optimizer": optax.sgd(0.02), "alpha_optimizer": optax.sgd(0.02)}
    search = toy.search(split_search, balance=balance, coupling=coupling, **slow)
    states, _ = toy.run(search, 4000)
    alpha = 4 * balance * coupling / (4 * balance * coupling - coupling - 2 * balance)
    np.testing.assert_allclose(states.alpha["toy"][-1, 0, 0], alpha, rtol=1e-3)
    np.testing.assert_allclose(states.params["w"][-1], alpha * (1 - 1 / (2 * balance)), rtol=1e-3)
    np.testing.assert_allclose(states.hypergradient.params["w"][-1], 2 - alpha, rtol=1e-3, atol=1e-3)
