"""The whole of a search in one call: what it finds, what it tells, and that it is the search of `dnas search`."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas import tasks
from dnas.chunks import DeviceData
from dnas.data.dataset import Augment, Dataset
from dnas.data.trees import rows
from dnas.optimizers import clipped_sgd, cosine_by_epoch
from dnas.run import searching
from dnas.run.console import Screen
from dnas.run.interrupt import Stop
from dnas.run.loop import run_phase
from dnas.run.retrain import TrainSettings, retraining
from dnas.run.searching import SearchSettings
from dnas.run.unkept import Unkept
from dnas.scoring import scorer
from dnas.tasks import Masked
from dnas.types import Batch

FAST = {"batch_size": 16, "alpha_lr": 0.1, "weight_lr": 0.2, "train_lr": 0.05, "progress": False}


@pytest.fixture(scope="module")
def regressed(toy: Any, planted: Any) -> dnas.Found:
    x, y = planted
    data = dnas.data.arrays(x[:80], y[:80], test=(x[80:], y[80:]))
    costs = {"linear": 1.0, "square": 2.0}

    def cost(genotype: dnas.Genotype) -> dict[str, float]:
        [node] = genotype["edges"].nodes
        return {"flops": sum(costs[edge.op] for edge in node)}

    return dnas.find(toy(tasks.regression()), data, epochs=20, train_epochs=20, baseline=3, costs=cost, **FAST)


def kept(genotype: dnas.Genotype) -> dict[int, str]:
    return {edge.source: edge.op for edge in genotype["edges"].nodes[0]}


def test_the_operations_that_know_the_answer_are_found_and_beat_all_others(regressed: dnas.Found) -> None:
    assert kept(regressed.genotype) == {0: "square", 1: "linear"}
    assert regressed.metric == "mse"
    assert regressed.scores["test"]["mse"] < 1e-3
    assert len({tuple(sorted(kept(one.genotype).items())) for one in (*regressed.baseline, regressed)}) == 4
    for rival in regressed.baseline:
        assert rival.scores["test"]["mse"] > 20 * regressed.scores["test"]["mse"]


@pytest.mark.parametrize("with_valid", [False, True])
def test_training_finds_among_finalists_what_a_search_that_learnt_nothing_does_not_know(
    toy: Any, planted: Any, with_valid: bool
) -> None:
    x, y = planted
    data = dnas.data.arrays(x[:80], y[:80], test=(x[80:], y[80:]))
    still = {**FAST, "alpha_lr": 1e-9}
    given = {"epochs": 1, "train_epochs": 0, "with_valid": with_valid, **still}
    found = dnas.find(toy(tasks.regression()), data, finalists=4, finalist_epochs=20, **given)
    assert kept(found.genotype) == {0: "square", 1: "linear"}
    assert found.finalists[0].genotype == found.genotype
    errors = [one.scores["valid"]["mse"] for one in found.finalists]
    assert len(errors) == 4
    assert errors == sorted(errors)
    assert all(set(one.scores) == {"valid"} for one in found.finalists)
    alone = dnas.find(toy(tasks.regression()), data, **given)
    assert alone.finalists == ()
    assert alone.genotype == alone.search.select(alone.state) in [one.genotype for one in found.finalists]
    with pytest.raises(dnas.UserError, match="finalists: expected 0 to 64, got 65"):
        dnas.find(toy(tasks.regression()), data, finalists=65, **given)


def test_it_says_what_was_found_beside_what_chance_finds(regressed: dnas.Found) -> None:
    lines = str(regressed).splitlines()
    assert lines[0] == str(regressed.genotype).splitlines()[0]
    shown = dict(line.split(None, 1) for line in lines if line.startswith("found"))
    assert f"mse {regressed.scores['test']['mse']:.4g}" in shown["found"]
    assert sum(line.startswith("random ") for line in lines) == 3
    assert lines[-1].startswith("The found network beat 3 of 3 random architectures")
    assert "<svg" in regressed._repr_html_()
    assert "beat 3 of 3" in regressed._repr_html_()


def test_what_is_told_agrees_with_itself(regressed: dnas.Found, planted: Any) -> None:
    x, y = planted
    outputs = np.asarray(regressed.predict(x[80:]))[:, 0]
    np.testing.assert_allclose(regressed.scores["test"]["mse"], np.square(outputs - y[80:]).mean(), rtol=1e-4)
    np.testing.assert_allclose(regressed.scores["test"]["mae"], np.abs(outputs - y[80:]).mean(), rtol=1e-4)
    assert list(regressed.scores["valid"]) == ["mse", "mae", "loss"]
    assert [line["epoch"] for line in regressed.history] == list(range(1, 21))
    assert regressed.history[-1]["genotype"] == str(regressed.genotype)
    for line in regressed.history:
        assert line["train_loss"] == line["train_mse"]
        json.dumps(line)
    assert regressed.history[-1]["valid_mse"] < regressed.history[0]["valid_mse"]
    assert regressed.training[-1]["train_mse"] < regressed.training[0]["train_mse"]
    assert regressed.costs == {"flops": 3.0}
    assert sorted(one.costs["flops"] for one in regressed.baseline) == [2.0, 3.0, 4.0]
    assert float(regressed.weights["edges"][0, 1]) > 0.5


def test_a_search_and_a_training_are_those_of_the_command_line(toy: Any) -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (48, 1, 2, 1)).astype(np.uint8)
    labels = (images[:, 0, 0, 0] > 127).astype(np.int32)
    x = (images / np.float32(255) - 0.5) / np.float32(0.25)
    dataset = Dataset("toy", images, labels, images[:8], labels[:8], ("no", "yes"), (0.5,), (0.25,), Augment())
    placed = DeviceData(jnp.asarray(images), jnp.asarray(labels))
    space, key = toy(None, 2), jax.random.key(5)

    def darts(steps: int) -> dnas.Search:
        return dnas.darts(space, epochs=3, steps_per_epoch=steps, alpha_lr=0.1)

    settings = SearchSettings(batch_size=8, shuffle_split=False)
    stage = searching.searching(darts, 3, dataset, placed, settings, jax.random.fold_in(key, 0))
    run = Unkept()
    state = run_phase(stage.phase, run, Screen(), Stop()).state
    genotype = stage.search.select(state)
    network = space.build(genotype)
    chosen = TrainSettings(epochs=2, batch_size=8, lr=0.1, drop_path=0.0)
    prepared = retraining("retrain", "retrain", network, dataset, placed, chosen, jax.random.fold_in(key, 1))
    trained = run_phase(prepared.phase, run, Screen(), Stop()).state

    data = dnas.data.arrays(x[:24], labels[:24], valid=(x[24:], labels[24:]), test=(x[:8], labels[:8]))
    found = dnas.find(
        space,
        data,
        epochs=3,
        batch_size=8,
        seed=5,
        train_epochs=2,
        optimizer=lambda steps: clipped_sgd(cosine_by_epoch(0.1, 0.0, 2, steps // 2), 0.9, 3e-4, 5.0),
        with_valid=True,
        baseline=0,
        progress=False,
        alpha_lr=0.1,
    )
    assert found.genotype == genotype
    assert found.metric == "accuracy"
    assert list(found.scores) == ["test"]
    for mine, theirs in ((found.history, run.metrics("search")), (found.training, run.metrics("retrain"))):
        for name in set(mine[0]) & {"train_loss", "train_accuracy", "valid_loss", "valid_accuracy"}:
            np.testing.assert_allclose([line[name] for line in mine], [line[name] for line in theirs], rtol=1e-4)
    assert found.variables is not None
    for one, other in zip(jax.tree.leaves(found.variables.params), jax.tree.leaves(trained.params), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.scores["test"]["accuracy"], run.metrics("retrain")[-1]["test_accuracy"])


def test_targets_outside_of_the_masks_change_no_bit_of_a_whole_example(toy: Any, planted: Any, bits: Any) -> None:
    x, y = planted

    def of(y: np.ndarray) -> dnas.Found:
        data = dnas.data.whole({"nodes": x}, y, train=range(30), valid=range(30, 60), test=range(60, 90), steps=4)
        return dnas.find(
            toy(tasks.regression()), data, epochs=6, train_epochs=2, alpha_lr=0.1, weight_lr=0.2, progress=False
        )

    found, strange = of(y), of(np.where(np.arange(96) < 90, y, np.nan).astype(np.float32))
    assert bits(found) == bits(strange)
    assert [line["step"] for line in found.history] == [4, 8, 12, 16, 20, 24]
    outputs = np.asarray(found.predict({"nodes": x}))[60:90, 0]
    np.testing.assert_allclose(found.scores["test"]["mse"], np.square(outputs - y[60:90]).mean(), rtol=1e-4)


def test_without_training_there_is_an_architecture_and_nothing_else(toy: Any, planted: Any, sentence: Any) -> None:
    found = dnas.find(toy(tasks.regression()), planted, epochs=1, train_epochs=0, progress=False)
    assert (found.variables, found.scores, found.baseline, found.training) == (None, {}, (), ())
    assert set(kept(found.genotype)) == {0, 1}
    with sentence("train_epochs"):
        found.predict(planted[0])


def test_progress_is_printed_with_the_time_left_or_not_at_all(toy: Any, planted: Any, capsys: Any) -> None:
    space = toy(tasks.regression())
    dnas.find(space, planted, epochs=1, train_epochs=1, baseline=0, progress=True)
    printed = capsys.readouterr().out
    for words in ("search: epoch 1/1  train loss", "valid mse", "examples/s", " left", "found architecture", "mae"):
        assert words in printed
    dnas.find(space, planted, epochs=1, train_epochs=0, progress=False)
    assert capsys.readouterr().out == ""


def _lengthy(outputs: Any, batch: Batch) -> Any:
    return jnp.square(outputs[:, 0] - batch.y)


def test_bad_input_is_refused_in_one_sentence_before_anything_runs(
    toy: Any, planted: Any, sentence: Any, tmp_path: Any
) -> None:
    space, (x, y) = toy(tasks.regression()), planted
    graph = dnas.data.whole(x, y, train=[0], valid=[1])
    stream = dnas.data.iterators(lambda: [(x, y)], lambda: [(x, y)], steps=1)
    with sentence("loss has shape (24,)", "expected ()"):
        dnas.find(toy(tasks.regression()._replace(loss=_lengthy)), planted)
    with sentence("batch_size is 73", "72 examples", "24"):
        dnas.find(space, planted, batch_size=73)
    with sentence("batch_size is 5", "whole"):
        dnas.find(space, graph, batch_size=5)
    with sentence("batch_size is 5", "iterators"):
        dnas.find(space, stream, batch_size=5)
    with sentence("with_valid", "iterators"):
        dnas.find(space, stream, with_valid=True)
    for data in (planted, graph):
        with sentence("with_valid", "test"):
            dnas.find(space, data, with_valid=True)
    with sentence("'alpha_rl'", "alpha_lr"):
        dnas.find(space, planted, alpha_rl=0.1)
    with sentence("data is a list"):
        dnas.find(space, [1, 2])
    with sentence("epochs", "got 0"):
        dnas.find(space, planted, epochs=0)
    with sentence("train_epochs", "got -1"):
        dnas.find(space, planted, train_epochs=-1)
    with sentence("predictions of shape"):
        dnas.find(toy(tasks.regression(), 2), planted)
    with sentence("before its first minibatch"):
        dnas.find(space, dnas.data.iterators(list, list, steps=1))
    (tmp_path / "own.txt").write_text("mine")
    with sentence("not made by dnas.find", "own.txt"):
        dnas.find(space, planted, directory=tmp_path)


def test_more_random_architectures_than_there_are_is_refused(toy: Any, planted: Any, sentence: Any) -> None:
    with sentence("baseline is 4", "too few architectures"):
        dnas.find(toy(tasks.regression()), planted, epochs=1, train_epochs=1, baseline=4, progress=False)


def test_masked_examples_count_by_their_targets_between_epochs(toy: Any, planted: Any) -> None:
    """A course sees scores of all validation data, whatever the minibatches and the form of the data."""
    x, y = planted
    mask = np.arange(96) % 5 < 2
    space, seen = toy(tasks.regression()), {}

    def asking(name: str) -> Any:
        def method(space: Any, *, epochs: int, steps_per_epoch: int) -> dnas.Search:
            search = dnas.darts(space, epochs=epochs, steps_per_epoch=steps_per_epoch)

            def turn(state: Any, between: dnas.Between) -> Any:
                one, other = np.array([[1.0, 0], [1, 0]]), np.array([[0.0, 1], [1, 0]])
                seen[name] = (state, *between.scores(state, {"edges": np.stack([one, other, one])}))
                return state

            return search._replace(course=dnas.Course(turn=turn))

        return method

    part = (x[48:], Masked(y[48:], mask[48:]))
    own = dnas.data.arrays(x[:48], Masked(y[:48], mask[:48]), valid=part)
    batches = [rows(part, slice(first, first + 16)) for first in (0, 16, 32)]
    streams = dnas.data.iterators(lambda: batches, lambda: batches, steps=3)
    for name, data, size in (("arrays", own, 16), ("iterators", streams, None)):
        dnas.find(space, data, asking(name), epochs=1, batch_size=size, train_epochs=0, progress=False)
        state, metrics, losses = seen[name]
        np.testing.assert_allclose(metrics, -losses, rtol=1e-5)
        assert metrics[0] == metrics[2]
        score = scorer(lambda variables, x: space.apply(variables, ONE, x, train=True)[0], space.task)
        whole = score(dnas.types.Variables(state.params, state.stats), [Batch(*part)])
        np.testing.assert_allclose(losses[0], whole["loss"], rtol=1e-5)


ONE = {"edges": np.array([[1.0, 0], [1, 0]], np.float32)}
