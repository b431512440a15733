"""A call that is stopped again and again ends in the same bits as one that was not, whatever its data are."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas import tasks
from dnas.run.interrupt import Interrupted

Call = Callable[..., dnas.Found]


def in_two_stages(space: dnas.SearchSpace, *, epochs: int, steps_per_epoch: int) -> dnas.Search:
    """End early, then go on from the state with weights that the validation data have moved; turns look at scores."""
    first = dnas.darts(space, epochs=epochs, steps_per_epoch=steps_per_epoch, alpha_lr=0.1)

    def turn(state: Any, between: dnas.Between) -> Any:
        _, losses = between.scores(state, {"edges": np.ones((1, 2, 2), np.float32)})
        seen = between.batches(int(state.step)).valid.y.mean()
        return state._replace(alpha=jax.tree.map(lambda rows: rows.at[0, 0].add(losses[0] + seen), state.alpha))

    def then(state: Any, between: dnas.Between) -> dnas.Search:
        del between

        def init(key: jax.Array, x: Any) -> Any:
            fresh = first.init(key, x)
            return state._replace(params=jax.tree.map(jnp.add, state.params, fresh.params))

        return first._replace(init=init, course=dnas.Course(epochs=3, turn=turn))

    done = 2 * steps_per_epoch
    return first._replace(course=dnas.Course(turn=turn, done=lambda state: int(state.step) >= done, then=then))


def arrays(x: Any, y: Any) -> Any:
    return dnas.data.arrays(x, y)


def iterators(x: Any, y: Any) -> Any:
    def rows(first: int, last: int, size: int) -> Callable[[], Iterator[Any]]:
        def open_it() -> Iterator[Any]:
            order = np.random.default_rng(0).permutation(np.arange(first, last))
            for start in range(0, last - first, size):
                chosen = order[start : start + size]
                yield {"x": x[chosen], "y": y[chosen]}

        return open_it

    # Neither pass is as long as an epoch.
    return dnas.data.iterators(rows(0, 56, 8), rows(56, 96, 8), steps=5)


class Pair(grain.transforms.Map):  # type: ignore[misc, unused-ignore]
    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y

    def map(self, element: int) -> tuple[Any, Any]:
        return self.x[element], self.y[element]


def pipelines(x: Any, y: Any) -> Any:
    def rows(first: int, last: int) -> Any:
        return grain.MapDataset.range(first, last).seed(first).shuffle().map(Pair(x, y))

    train = rows(0, 56).repeat().batch(8)
    return dnas.data.grain(train, rows(56, 96).batch(8), rows(56, 96).batch(9), steps=5)


@pytest.fixture(scope="module", params=[arrays, iterators, pipelines], ids=lambda form: form.__name__)
def call(request: pytest.FixtureRequest, toy: Any, planted: Any) -> Call:
    """Return `(**more) -> Found`: chunks do not divide the epoch, and a stage follows another."""
    data, space = request.param(*planted), toy(tasks.regression())
    size = {"batch_size": 16} if request.param is arrays else {}

    def of(**more: Any) -> dnas.Found:
        given: dict[str, Any] = {
            "epochs": 4,
            "train_epochs": 2,
            "baseline": 0,
            "chunk_steps": 2,
            "progress": False,
            **size,
            **more,
        }
        return dnas.find(space, data, in_two_stages, **given)

    return of


@pytest.fixture(scope="module")
def unbroken(call: Call) -> dnas.Found:
    """What the call finds in one piece, without a directory."""
    return call()


def test_stopped_again_and_again_it_ends_in_the_same_bits(
    call: Call, unbroken: dnas.Found, again_and_again: Any, bits: Any, tmp_path: Path
) -> None:
    found, stops = again_and_again(lambda **stop: call(directory=tmp_path, **stop), 4)
    assert stops >= 2
    assert bits(found) == bits(unbroken)
    assert bits(call(directory=tmp_path)) == bits(unbroken), "asked again, nothing is done anew"
    assert [line["epoch"] for line in found.history] == [1, 2, 3]


def test_killed_between_checkpoints_it_ends_in_the_same_bits(
    call: Call, unbroken: dnas.Found, stop_after: Any, bits: Any, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted):
        call(directory=tmp_path, stop=stop_after(3))
    # As a kill leaves it: lines of the metrics that no checkpoint knows, and a half-written one.
    with (tmp_path / "metrics.jsonl").open("a") as handle:
        handle.write(json.dumps({"phase": "search", "epoch": 3, "step": 10**6, "train_loss": 0.0}) + '\n{"phase"')
    assert bits(call(directory=tmp_path)) == bits(unbroken)


def test_a_directory_goes_on_with_nothing_else(call: Call, stop_after: Any, sentence: Any, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        call(directory=tmp_path, stop=stop_after(1))
    with sentence("another seed", str(tmp_path)):
        call(directory=tmp_path, seed=1)
    with sentence("another epochs, chunk_steps"):
        call(directory=tmp_path, epochs=5, chunk_steps=3)


def test_changed_arrays_are_noticed(toy: Any, planted: Any, sentence: Any, stop_after: Any, tmp_path: Path) -> None:
    x, y = planted
    for own in (y, y + 1):
        with pytest.raises(Interrupted) if own is y else sentence("another data"):
            dnas.find(toy(tasks.regression()), (x, own), directory=tmp_path, progress=False, stop=stop_after(1))
