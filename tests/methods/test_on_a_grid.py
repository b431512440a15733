"""Every method on a space whose architectures are paths: what it selects, or one sentence on why it cannot."""

import pkgutil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas.methods
from dnas.errors import UserError
from dnas.relaxations.masked import offered
from search_spaces import hypercuboid
from search_spaces.hypercuboid.grid import GRID

SPACE = hypercuboid.space(classes=3, channels=2, widths=2, layers=2)
NAMES = sorted(info.name for info in pkgutil.iter_modules(dnas.methods.__path__))
REFUSED = {
    "pc_darts": "partial_channels=4",
    "drnas_progressive": "partial_channels",
    "darts_minus": "skip_connect",
    "p_darts": "cells",
}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFUSED])
def test_a_fresh_search_selects_a_path(name: str, take: Any) -> None:
    taken = take(name, SPACE)
    relaxation = offered(taken.parts["relaxation"], SPACE.spec)
    alpha, state = relaxation.init(jax.random.key(0), SPACE.spec)
    genotype = taken.search.select(taken.state(alpha)._replace(relaxation=state))
    hypercuboid.check_genotype(genotype)
    assert genotype.space == "hypercuboid"


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_on_a_grid_is_refused(name: str, take: Any) -> None:
    with pytest.raises(UserError, match=REFUSED[name]):
        take(name, SPACE)


@pytest.mark.parametrize(("name", "settings"), [("sharp_darts", {}), ("darts", {"mixing": "joint"})])
def test_edges_of_a_level_share_one_softmax_as_published(name: str, settings: dict[str, Any], take: Any) -> None:
    relaxation = offered(take(name, SPACE, **settings).parts["relaxation"], SPACE.spec)
    alpha, state = relaxation.init(jax.random.key(0), SPACE.spec)
    weights = np.asarray(relaxation.expected(alpha, state)[GRID])
    levels = weights[:-2].reshape(4, -1)
    np.testing.assert_allclose(levels.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(weights[-2:, SPACE.spec[GRID].ops.index(hypercuboid.END)], 1.0, rtol=1e-6)
    if name == "sharp_darts":
        mixed = relaxation.weights(jax.random.key(1), alpha, state)[GRID]
        assert isinstance(mixed, jax.Array)
        np.testing.assert_array_equal(jnp.max(mixed[:-2].reshape(4, -1), axis=1), 1.0)
