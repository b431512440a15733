"""DARTS+: the epoch at which a search ends is the first whose record meets the criterion."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas.run.directory import RunDirectory
from dnas.stopping import ranking_stable, too_many_skips
from dnas.types import Search, SearchSpace

SETTINGS = {"epochs": 9, "alpha_lr": 0.03}


@pytest.fixture(scope="module")
def driven(begin: Any, to_the_end: Any, lines: Any, pixels: SearchSpace, tmp_path_factory: Any) -> Callable[..., Any]:
    def drive(**settings: Any) -> tuple[Search, Any, list[dict[str, Any]]]:
        run = RunDirectory.create(tmp_path_factory.mktemp("darts_plus") / "run", False)

        def make(steps: int) -> Search:
            return dnas.darts_plus(pixels, steps_per_epoch=steps, **{**SETTINGS, **settings})

        [stage], finished = to_the_end(begin(make), run)
        return stage.search, finished, lines(run)

    return drive


def test_it_ends_with_the_first_architecture_of_too_many_skips(driven: Any) -> None:
    search, finished, lines = driven(limit=1)
    skips = [line["genotype"].count("skip_connect") for line in lines]
    assert 1 < len(lines) < 9
    assert [count >= 1 for count in skips] == [False] * (len(lines) - 1) + [True]
    assert too_many_skips(search.select(finished.state), 1, "cell")


def test_without_that_it_runs_to_its_end(driven: Any) -> None:
    _, _, lines = driven(limit=2)
    assert len(lines) == 9


def test_it_ends_once_the_ranking_has_stood_long_enough(driven: Any, pixels: SearchSpace) -> None:
    _, finished, lines = driven(criterion="ranking", stable=3)
    history = [{"cell": np.array(line["weights"]["cell"])} for line in lines]
    stable = [ranking_stable(pixels.spec, history[: count + 1], 3) for count in range(len(history))]
    assert 4 < len(lines) < 9
    assert stable == [False] * (len(lines) - 1) + [True]
    remembered = np.asarray(finished.state.memory["cell"])
    np.testing.assert_allclose(remembered, [entry["cell"] for entry in history[-4:]], atol=1e-6)


def test_epochs_that_were_not_do_not_count(pixels: SearchSpace) -> None:
    """The memory begins with zeros, which rank alike: they are no epochs."""
    search = dnas.darts_plus(pixels, steps_per_epoch=4, criterion="ranking", stable=2)
    state = search.init(jax.random.key(0), jnp.zeros((2, 1, 3, 1)))
    done = search.course.done
    assert done is not None
    assert [done(state._replace(step=jnp.int32(4 * epoch))) for epoch in (0, 1, 2, 3)] == [False, False, False, True]


def test_settings_that_cannot_work_are_refused(pixels: SearchSpace, sentence: Any) -> None:
    with sentence("criterion", "skip"):
        dnas.darts_plus(pixels, steps_per_epoch=1, criterion="skip")
    with sentence("group", "cell", "normal"):
        dnas.darts_plus(pixels, steps_per_epoch=1, group="normal")
    with sentence("stable", 0):
        dnas.darts_plus(pixels, steps_per_epoch=1, stable=0)
