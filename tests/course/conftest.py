"""Searches that work between epochs, driven as a run drives them, on a space of three pixels."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.chunks import DeviceData
from dnas.data.dataset import Augment, Dataset
from dnas.run import searching
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.interrupt import Interrupted, Stop
from dnas.run.loop import Finished, run_phase
from dnas.run.searching import Searching, SearchSettings
from dnas.types import Group, Paths, Search, SearchSpace, SearchState, Variables

OPS = ("none", "noise", "skip_connect")
SPEC = {"cell": Group(3, OPS, nodes=(((0, 0), (1, 1), (2, 2)),), keep=1, concat=(3,))}
BATCH = 8


def apply(variables: Variables, mixture: Any, x: jax.Array, *, train: bool) -> tuple[jax.Array, Any]:
    """Three pixels, of which the second tells the class; an edge sees its pixel, noise, or nothing."""
    del train
    pixels, rows = x.reshape(len(x), -1)[:, :3], mixture["cell"]
    if isinstance(rows, Paths):
        rows = rows.weights * jax.nn.one_hot(rows.active, len(OPS)).sum(axis=-2)
    noise = jnp.sin(9 * x.sum(axis=(1, 2, 3)))[:, None]
    h = (rows[:, 1] * noise + rows[:, 2] * pixels).sum(axis=1, keepdims=True)
    return h @ variables.params["w"] + variables.params["b"], variables.stats


def init(key: jax.Array, x: jax.Array) -> Variables:
    del x
    return Variables({"w": jax.random.normal(key, (1, 2)), "b": jnp.zeros(2)}, {})


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("a search must not build a network")


@pytest.fixture(scope="session")
def pixels() -> SearchSpace:
    return SearchSpace("pixels", SPEC, init, apply, refuse, refuse, lambda shape: None)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Return 64 images: an epoch has four steps."""
    rng = np.random.default_rng(0)
    y = (np.arange(64) % 2).astype(np.int32)
    x = rng.integers(100, 156, (64, 1, 3, 1))
    x[:, 0, 1, 0] = 40 + 176 * y
    shown = x.astype(np.uint8)
    return Dataset("pixels", shown, y, shown[:8], y[:8], ("dark", "light"), (0.5,), (0.25,), Augment())


@pytest.fixture(scope="session")
def begin(dataset: Dataset) -> Callable[[Callable[[int], Search]], Searching]:
    """Return `(steps_per_epoch -> search) -> its first stage`; four epochs unless its course says otherwise."""
    images = DeviceData(jnp.asarray(dataset.x_train), jnp.asarray(dataset.y_train))
    settings = SearchSettings(batch_size=BATCH, chunk_steps=3)

    def of(make: Callable[[int], Search]) -> Searching:
        return searching.searching(make, 4, dataset, images, settings, jax.random.key(0))

    return of


def _to_the_end(stage: Searching, run: RunDirectory, stop: Stop | None = None) -> tuple[list[Searching], Finished]:
    stages, finished = [stage], run_phase(stage.phase, run, Screen(), stop or Stop())
    while (following := stages[-1].following(finished)) is not None:
        stages.append(following)
        finished = run_phase(following.phase, run, Screen(), stop or Stop())
    return stages, finished


@pytest.fixture(scope="session")
def to_the_end() -> Callable[..., tuple[list[Searching], Finished]]:
    """Return `(stage, run, stop=None) -> (all stages, what the last one left)`."""
    return _to_the_end


@pytest.fixture
def again_and_again(begin: Any, stop_after: Any, tmp_path: Path) -> Callable[..., tuple[RunDirectory, Finished]]:
    """Return `(make, chunks) -> (run, what it left)`: a search stopped after so many chunks until it is over."""

    def drive(make: Callable[[int], Search], chunks: int) -> tuple[RunDirectory, Finished]:
        run = RunDirectory.create(tmp_path / "run", False)
        stops = 0
        for _ in range(100):
            try:
                _, finished = _to_the_end(begin(make), run, stop_after(chunks))
            except Interrupted:
                stops += 1
                continue
            break
        assert stops
        return run, finished

    return drive


@pytest.fixture(scope="session")
def lines() -> Callable[[RunDirectory], list[dict[str, Any]]]:
    """Return `(run) -> its metrics` without times."""

    def read(run: RunDirectory) -> list[dict[str, Any]]:
        timed = ("seconds", "images_per_second")
        kept = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
        return [{name: value for name, value in line.items() if name not in timed} for line in kept]

    return read


@pytest.fixture(scope="session")
def bits() -> Callable[[SearchState], list[bytes]]:
    def of(state: SearchState) -> list[bytes]:
        plain = state._replace(key=jax.random.key_data(state.key))
        return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(plain)]

    return of
