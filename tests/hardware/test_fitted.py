"""Which edges of measured networks cost something is found from the measurements."""

import numpy as np
import pytest

from dnas.hardware.fit import design, predict
from dnas.hardware.fitted import error, fit_networks, rows
from dnas.hardware.live import connected, live
from dnas.hardware.model import EDGES, LIVE, WRITTEN
from dnas.selection import random_genotype
from search_spaces import nasbench201

SPACE = nasbench201.space(classes=2)
OPS = np.array([0.0, 0.5, 2.0, 9.0, 1.0])
"""Costs of none, skip connection, 1x1 and 3x3 convolution and pool, on each edge."""


@pytest.mark.parametrize("edges", EDGES)
def test_the_way_in_which_networks_were_measured_is_found(edges: str) -> None:
    rng = np.random.default_rng(0)
    genotypes = [random_genotype(SPACE, rng) for _ in range(150)]
    measured = [EDGES[edges](SPACE.spec, one) for one in genotypes]
    costs = 3.0 + design(SPACE.spec, measured) @ np.tile(OPS, 6)
    # What such networks take has no part in the fit.
    apart = np.array([not connected(SPACE.spec, one) for one in genotypes])
    assert apart.any()
    assert (design(SPACE.spec, [live(SPACE.spec, one) for one in genotypes]) != design(SPACE.spec, genotypes)).any()
    costs[apart] = 1000.0
    own = rows(SPACE.spec, genotypes)
    found = fit_networks(own, costs)
    assert found.edges == edges
    assert found.table.base == pytest.approx(3, abs=1e-2)
    np.testing.assert_allclose(found.table.rows["cell"], np.tile(OPS, (6, 1)), atol=2e-2)
    assert found.checked is not None
    assert found.checked.r2 > 0.999


def test_margins_are_of_all_edges_and_of_networks_that_compute_something() -> None:
    rng = np.random.default_rng(1)
    genotypes = [random_genotype(SPACE, rng) for _ in range(200)]
    own = rows(SPACE.spec, genotypes)
    costs = 3.0 + own.edges[LIVE] @ np.tile(OPS, 6)
    found = fit_networks(own, costs)
    said = error(own, np.where(own.connected, costs, 1000.0), found)
    written = predict(SPACE.spec, found.table, own.edges[WRITTEN])
    excess = (costs / written - 1)[own.connected]
    assert said.margins["0.99"] == pytest.approx(np.quantile(excess, 0.99, method="higher"), abs=1e-9)
    assert said.margins["0.99"] < 0.01
    assert said.networks == np.count_nonzero(own.connected) < 200
