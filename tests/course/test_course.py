"""What a search does between its epochs, and searches that follow one another as stages."""

import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

import dnas
from dnas.chunks import DeviceData, Source
from dnas.data.dataset import Dataset
from dnas.run import searching
from dnas.run.directory import RunDirectory
from dnas.run.examination import Shown, examination
from dnas.run.loop import Finished
from dnas.run.searching import Searching
from dnas.types import Between, Course, Search, SearchSpace, SearchState, Variables

EPOCHS, STEPS, BATCH = 4, 4, 8
Done = tuple[RunDirectory, Searching, Finished]


@pytest.fixture(scope="module")
def follow(pixels: SearchSpace) -> Callable[[Course], Callable[[int], Search]]:
    def of(course: Course) -> Callable[[int], Search]:
        return lambda steps: dnas.darts(pixels, epochs=EPOCHS, steps_per_epoch=steps, alpha_lr=0.1)._replace(
            course=course
        )

    return of


def remembering(search: Search) -> Search:
    """Count the epochs in the state's memory, and push alpha by what the validation data say of its first edge."""

    def start(key: jax.Array, x: jax.Array) -> SearchState:
        return search.init(key, x)._replace(memory=jnp.zeros((), jnp.int32))

    def turn(state: SearchState, between: Between) -> SearchState:
        accuracies, losses = between.scores(state, {"cell": np.ones((2, 3, 3)) * np.array([1.0, 0.5])[:, None, None]})
        batch = between.batches(int(state.memory)).train
        pushed = {"cell": state.alpha["cell"].at[0, 0].add(np.float32(losses[0] - accuracies[1]) + batch.x.mean())}
        return state._replace(alpha=pushed, memory=state.memory + 1)

    return search._replace(init=start, course=Course(turn=turn))


@pytest.fixture(scope="module")
def in_two_stages(follow: Any) -> Callable[[int], Search]:
    """Stop at the memory's second epoch, then go on with weights of its own for two epochs more."""

    def make(steps: int) -> Search:
        first = remembering(follow(Course())(steps))

        def then(state: SearchState, between: Between) -> Search:
            def start(key: jax.Array, x: jax.Array) -> SearchState:
                fresh = first.init(key, x)
                seen = between.batches(0).valid.x.mean()
                return state._replace(params=jax.tree.map(lambda leaf: leaf + seen, fresh.params))

            return first._replace(init=start, course=first.course._replace(epochs=4, done=None, then=None))

        course = first.course._replace(epochs=3, done=lambda state: int(state.memory) >= 2, then=then)
        return first._replace(course=course)

    return make


@pytest.fixture(scope="module")
def unbroken(begin: Any, to_the_end: Any, in_two_stages: Any, tmp_path_factory: pytest.TempPathFactory) -> Done:
    run = RunDirectory.create(tmp_path_factory.mktemp("course") / "run", False)
    stages, finished = to_the_end(begin(in_two_stages), run)
    return run, stages[-1], finished


def test_stages_count_on_and_every_epoch_has_its_line(unbroken: Done, lines: Any) -> None:
    run, stage, finished = unbroken
    assert [(line["phase"], line["epoch"], line["step"]) for line in lines(run)] == [
        ("search", epoch, epoch * STEPS) for epoch in (1, 2, 3, 4)
    ]
    assert stage.phase.stage == 2
    assert int(finished.state.memory) == 4
    assert sorted(path.name for path in (run.path / "checkpoints").iterdir()) == ["search", "search-2"]
    # The second stage's times go on from the first's.
    times = [json.loads(line)["seconds"] for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert times == sorted(times)
    assert searching.outcome(stage.phase, finished)["epochs"] == 4


def test_what_the_turn_returns_is_recorded_and_saved(unbroken: Done, lines: Any) -> None:
    run, _, finished = unbroken
    alpha = np.asarray(finished.state.alpha["cell"])
    np.testing.assert_allclose(lines(run)[-1]["alpha"]["cell"], alpha, atol=1e-6)
    state, _ = ocp.load(run.path / "checkpoints" / "search-2" / f"step-{4 * STEPS}")
    np.testing.assert_array_equal(state["alpha"]["cell"], alpha)
    assert int(state["memory"]) == 4


@pytest.mark.parametrize("chunks", [3, 4, 5])
def test_stopped_again_and_again_the_stages_end_in_the_same_bits(
    again_and_again: Any, in_two_stages: Any, unbroken: Done, lines: Any, bits: Any, chunks: int
) -> None:
    run, finished = again_and_again(in_two_stages, chunks)
    assert bits(finished.state) == bits(unbroken[2].state)
    assert lines(run) == lines(unbroken[0])


def test_a_note_is_recorded_with_the_epoch(begin: Any, to_the_end: Any, follow: Any, lines: Any, tmp_path: Any) -> None:
    course = Course(epochs=2, note=lambda state: {"half": int(state.step) / 2})
    run = RunDirectory.create(tmp_path / "run", False)
    to_the_end(begin(follow(course)), run)
    assert [line["half"] for line in lines(run)] == [STEPS / 2, STEPS]


def test_scores_are_those_of_the_supernet_on_the_validation_images(
    begin: Any, follow: Any, pixels: SearchSpace, dataset: Dataset
) -> None:
    asked: list[Any] = []

    def turn(state: SearchState, between: Between) -> SearchState:
        candidates = {"cell": np.random.default_rng(0).random((7, 3, 3)).astype(np.float32)}
        asked.append((state, candidates, between.scores(state, candidates), between.batches(5), between.batches(5)))
        return state

    stage = begin(follow(Course(turn=turn)))
    state = stage.search.init(jax.random.key(1), jnp.zeros((2, 1, 3, 1)))
    stage.phase.turn(state)
    [(state, candidates, (accuracies, losses), one, again)] = asked
    rows = np.asarray(stage.phase.arguments[3])
    x, y = (dataset.x_train[rows] / 255 - 0.5) / 0.25, dataset.y_train[rows]
    for index in range(7):
        mixture = {"cell": candidates["cell"][index]}
        logits, _ = pixels.apply(Variables(state.params, {}), mixture, jnp.asarray(x, jnp.float32), train=True)
        logits = np.asarray(logits)
        assert accuracies[index] == pytest.approx(float(np.mean(np.argmax(logits, axis=1) == y)))
        assert losses[index] == pytest.approx(float(-jax.nn.log_softmax(logits)[np.arange(len(y)), y].mean()), rel=1e-4)
    jax.tree.map(np.testing.assert_array_equal, one, again)
    assert one.train.x.shape == one.valid.x.shape == (BATCH, 1, 3, 1)
    images = [{bytes(image) for image in dataset.x_train[np.asarray(part)]} for part in stage.phase.arguments[2:]]
    shown = np.round((np.asarray(one.valid.x) * 0.25 + 0.5) * 255).astype(np.uint8)
    assert all(bytes(image) in images[1] - images[0] for image in shown)


def test_perturbation_finds_what_alpha_hides(
    begin: Any, to_the_end: Any, pixels: SearchSpace, lines: Any, tmp_path: Any
) -> None:
    """All operations weigh the same for ever: only taking them away shows that the second pixel matters."""

    def make(steps: int) -> Search:
        return dnas.darts_pt(
            pixels, epochs=1, steps_per_epoch=steps, interval=1, fixed_alpha=True, weight_lr=0.3, criterion="loss"
        )

    run = RunDirectory.create(tmp_path / "run", False)
    [stage], finished = to_the_end(begin(make), run)
    assert len(lines(run)) == 1 + 4
    assert np.abs(finished.state.alpha["cell"]).max() < 0.01
    [kept] = stage.search.select(finished.state)["cell"].nodes[0]
    assert (kept.op, kept.source) == ("skip_connect", 1)
    decided = np.asarray(stage.search.weights(finished.state)["cell"])
    np.testing.assert_array_equal(decided, [[0, 0, 0], [0, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize("abreast", [2, 3])
def test_candidates_abreast_score_as_one_by_one(pixels: SearchSpace, dataset: Dataset, abreast: int) -> None:
    images = DeviceData(jnp.asarray(dataset.x_train), jnp.asarray(dataset.y_train))
    source = Source(len(dataset.y_train), BATCH, dataset.augment, dataset.mean, dataset.std)
    shown = Shown(images, jnp.arange(len(dataset.y_train)), source)
    variables = pixels.init(jax.random.key(0), jnp.zeros((2, 1, 3, 1)))
    state = SearchState(*variables, {}, (), (), (), (), jnp.zeros(()), jnp.zeros(()))
    candidates = {"cell": np.random.default_rng(0).random((7, 3, 3)).astype(np.float32)}
    alone, together = (
        examination(pixels, shown, shown, jax.random.key(0), abreast=many).scores(state, candidates)
        for many in (1, abreast)
    )
    assert len(set(alone[1])) == 7
    np.testing.assert_array_equal(together[0], alone[0])
    np.testing.assert_allclose(together[1], alone[1], rtol=1e-5)
