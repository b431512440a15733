"""Single path one-shot search, driven as a run drives it: weights on random paths, then the best by the supernet."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas.errors import UserError
from dnas.run.directory import RunDirectory
from dnas.selection import one_hot, single_paths
from dnas.types import Search, SearchSpace, SearchState


@pytest.fixture(scope="module")
def make(pixels: SearchSpace) -> Any:
    def of(steps: int, **settings: Any) -> Search:
        given = {"criterion": "loss", "weight_lr": 0.3, "population": 3, "generations": 3, "parents": 2, **settings}
        return dnas.spos(pixels, epochs=3, steps_per_epoch=steps, **given)

    return of


def test_the_operation_that_tells_is_found_and_an_interruption_changes_no_bit(
    make: Any, begin: Any, to_the_end: Any, again_and_again: Any, lines: Any, bits: Any, tmp_path: Any
) -> None:
    run = RunDirectory.create(tmp_path / "unbroken", False)
    [stage], finished = to_the_end(begin(make), run)
    [kept] = stage.search.select(finished.state)["cell"].nodes[0]
    assert (kept.op, kept.source) == ("skip_connect", 1)
    weights = np.asarray(stage.search.weights(finished.state)["cell"])
    assert weights[1].argmax() == 2
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    before = lines(run)[:-1]
    assert all(np.ptp(line["weights"]["cell"]) == 0 for line in before), "alpha rests while the weights are trained"
    broken, again = again_and_again(make, 2)
    assert bits(again.state) == bits(finished.state)
    assert lines(broken) == lines(run)


@pytest.mark.parametrize("images", [0, 9, 16])
def test_it_is_scored_on_so_many_validation_images(images: int, make: Any, begin: Any) -> None:
    """And what is kept is the best of all that were scored, by either route to a score."""
    stage = begin(lambda steps: make(steps, images=images))
    state = stage.search.init(jax.random.key(1), jnp.zeros((2, 1, 3, 1)))._replace(step=jnp.int32(12))
    asked: list[Any] = []
    turn = stage.search.course.turn

    def spied(state: SearchState, between: Any) -> SearchState:
        def scores(state: Any, mixtures: Any, count: Any = None) -> Any:
            found = between.scores(state, mixtures, count)
            asked.append(
                (mixtures["cell"], count, found, between.scores(state, {"cell": mixtures["cell"].weights}, count))
            )
            return found

        return turn(state, between._replace(scores=scores))

    search = stage.search._replace(course=stage.search.course._replace(turn=spied))
    after = begin(lambda steps: search).phase.turn(state)
    assert {count for _, count, _, _ in asked} == {images or None}
    for _, _, paths, dense in asked:
        np.testing.assert_allclose(paths, dense, rtol=1e-5)
        hits = np.asarray(paths[0]) * {0: 32, 9: 8, 16: 16}[images]
        np.testing.assert_allclose(hits, np.round(hits), atol=1e-5)
    rows = np.concatenate([np.asarray(cell.weights) for cell, _, _, _ in asked])
    losses = np.concatenate([found[1] for _, _, found, _ in asked])
    assert len(rows) == 6, "the space has no more: two operations on one of three edges"
    chosen = np.asarray(one_hot(search.space.spec, search.select(after))["cell"])
    np.testing.assert_array_equal(chosen, rows[np.argmin(losses)])
    assert single_paths(search.space.spec, [search.select(after)])["cell"].active.shape == (1, 3, 1)


def test_bad_settings(pixels: SearchSpace) -> None:
    for settings, says in (
        ({"images": -1}, "images"),
        ({"criterion": "loses"}, "loss"),
        ({"mutation": 2.0}, "mutation"),
    ):
        with pytest.raises(UserError, match=says):
            dnas.spos(pixels, steps_per_epoch=2, **settings)  # type: ignore[arg-type]
