"""A search that ends with a comparison by training keeps the best of its finalists."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas.errors import UserError
from dnas.finalists import MOST, drawn, finalists
from dnas.genotype import Genotype
from dnas.hardware.charge import charged
from dnas.hardware.limits import Limit
from dnas.hardware.live import live
from dnas.hardware.shipped import find
from dnas.objectives.augmented_lagrangian import augmented_lagrangian
from dnas.run import pipeline, planning
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.finalists import kept, trial
from dnas.run.interrupt import Interrupted, Stop
from dnas.types import Search, SearchState
from search_spaces import nasbench201

TINY = (
    "search.epochs=1",
    "search.batch_size=5",
    "space.channels=2",
    "space.cells=1",
    "search.population=6",
    "search.generations=1",
    "search.proxies=synflow",
    "space.ops=none,skip_connect,nor_conv_1x1",
    "retrain.channels=2",
    "retrain.cells=1",
    "retrain.batch_size=16",
    "finalists.count=2",
    "finalists.epochs=1",
    "finalists.train_share=0.75",
)


PlanOf = Callable[..., planning.Plan]


def requested(plan_of: PlanOf, *more: str) -> planning.Plan:
    return plan_of("nasbench201", 0, (*TINY, *more), baseline=0, method="zero_cost")


@pytest.fixture(scope="module")
def planned(plan_of: PlanOf) -> planning.Plan:
    return requested(plan_of, "retrain.epochs=0")


def ran(planned: planning.Plan, path: Path, stop: Callable[[], Stop] = Stop) -> RunDirectory:
    run = pipeline.start(planned, path, False, "dnas search")
    for _ in range(100):
        try:
            pipeline.execute(run, planned, Screen(), stop())
        except Interrupted:
            continue
        return run
    raise AssertionError("never finished")


@pytest.fixture(scope="module")
def unbroken(planned: planning.Plan, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return ran(planned, tmp_path_factory.mktemp("finalists") / "run")


def test_the_report_shows_them(unbroken: RunDirectory) -> None:
    from dnas.report import write_report

    page = write_report(unbroken.path).read_text(encoding="utf-8")
    for row in unbroken.read("result.json")["finalists"]:
        assert f'<th scope="row">{row["place"]}</th><td class="number">{100 * row["valid_accuracy"]:.1f}' in page


def judged(run: RunDirectory) -> list[tuple[Any, ...]]:
    return [(row["place"], row["valid_accuracy"], row["genotype"]) for row in run.read("result.json")["finalists"]]


def test_the_best_of_the_finalists_is_kept(unbroken: RunDirectory) -> None:
    result = unbroken.read("result.json")
    rows = result["finalists"]
    accuracies = [row["valid_accuracy"] for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert result["genotype"] == rows[0]["genotype"] == unbroken.read("genotype.json")
    assert sorted(row["place"] for row in rows) == [1, 2]
    progress = unbroken.read("progress.json")
    # The search's own choice is one of them, the first.
    assert next(row for row in rows if row["place"] == 1)["genotype"] == progress["genotype"]
    assert {row["epochs"] for row in rows} == {1}
    assert kept(rows).startswith(f"kept the finalist of validation accuracy {100 * accuracies[0]:.2f} %")
    lines = [json.loads(line) for line in (unbroken.path / "metrics.jsonl").read_text().splitlines()]
    assert {line["phase"] for line in lines} >= {"finalist-0", "finalist-1"}
    assert not any("test_accuracy" in line for line in lines)


def test_an_interrupted_comparison_ends_as_an_unbroken_one(
    planned: planning.Plan, unbroken: RunDirectory, stop_after: Callable[[int], Stop], tmp_path: Path
) -> None:
    again = ran(planned, tmp_path / "run", lambda: stop_after(2))
    assert judged(again) == judged(unbroken)


def test_finalists_never_see_the_images_that_judge_them(planned: planning.Plan) -> None:
    shortly = trial(planned)
    own, whole = shortly.dataset, planned.dataset
    count = int(0.75 * len(whole.x_train))
    assert (len(own.x_train), len(own.x_test)) == (count, len(whole.x_train) - count)
    both = np.concatenate([own.x_train, own.x_test]).reshape(len(whole.x_train), -1)
    # The two parts together are the training images, each once, and no test image.
    order = [np.lexsort(part.T) for part in (both, whole.x_train.reshape(len(both), -1))]
    np.testing.assert_array_equal(both[order[0]], whole.x_train.reshape(len(both), -1)[order[1]])
    np.testing.assert_array_equal(shortly.images.x, own.x_train)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("finalists.count=65",), "expected 0 to 64, got 65"),
        (("finalists.count=-1",), "finalists.count"),
        (("finalists.train_share=1.0",), "expected a number between 0 and 1, got 1"),
        (("finalists.epochs=0",), "finalists.epochs: expected at least 1"),
        (("finalists.train_share=0.1",), "only 4 training images"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused(plan_of: PlanOf, more: Sequence[str], words: str) -> None:
    with pytest.raises(UserError) as refused:
        requested(plan_of, "retrain.epochs=0", *more)
    assert words in str(refused.value)


SPACE = nasbench201.space(classes=3, channels=2, cells=1)


def searched(search: Search, alpha: np.ndarray | None = None) -> SearchState:
    state = jax.eval_shape(search.init, jax.random.key(0), jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32))
    rows = jnp.zeros(state.alpha["cell"].shape) if alpha is None else jnp.asarray(alpha, jnp.float32)
    return SearchState(*[None] * len(SearchState._fields))._replace(alpha={"cell": rows}, memory=())


@pytest.fixture(scope="module")
def darts() -> Search:
    return dnas.darts(SPACE, epochs=1, steps_per_epoch=1)


def test_operations_are_drawn_as_softmax_says(darts: Search) -> None:
    alpha = np.random.default_rng(0).normal(0, 1, (6, 5))
    state, count = searched(darts, alpha), 2000
    seen = np.zeros((6, 5))
    ops = SPACE.spec["cell"].ops
    for key in jax.random.split(jax.random.key(1), count):
        [(_, cell)] = drawn(darts, state, key).cells
        for row, edge in enumerate(edge for node in cell.nodes for edge in node):
            seen[row, ops.index(edge.op)] += 1
    right = np.asarray(jax.nn.softmax(alpha, axis=-1))
    assert (np.abs(seen / count - right) < 4.5 * np.sqrt(right * (1 - right) / count)).all()


def test_finalists_are_different_networks_and_the_first_is_the_search_s_own(darts: Search) -> None:
    state = searched(darts, np.random.default_rng(3).normal(0, 1, (6, 5)))
    found = finalists(darts, state, 12, jax.random.key(0))
    assert found[0] == darts.select(state)
    assert len({live(SPACE.spec, one).content for one in found}) == len(found) == 12
    assert found == finalists(darts, state, 12, jax.random.key(0))
    assert found != finalists(darts, state, 12, jax.random.key(1))


def test_no_more_are_drawn_than_are_wanted(darts: Search) -> None:
    asked: list[int] = []
    counting = darts._replace(select=lambda state: (asked.append(0), darts.select(state))[1])
    state = searched(darts, np.random.default_rng(3).normal(0, 1, (6, 5)))
    assert len(finalists(counting, state, 3, jax.random.key(0))) == 3
    assert len(asked) < 20


def test_a_search_that_is_certain_has_one_finalist(darts: Search) -> None:
    state = searched(darts, 1e4 * np.eye(5)[[0, 1, 2, 3, 4, 1]])
    assert finalists(darts, state, 5, jax.random.key(0)) == [darts.select(state)]


def test_finalists_keep_the_limits() -> None:
    own = next(one for one in find("edgegpu").models if one.metric == "latency" and one.network["classes"] == 10)
    cost = own.fitting(SPACE.name, SPACE.spec)
    limited = charged(SPACE, [cost], [Limit(0, own.title, 4.0)], augmented_lagrangian([4.0]))
    search = dnas.darts(limited, epochs=1, steps_per_epoch=1)
    found = finalists(search, searched(search), 8, jax.random.key(0))
    assert len(found) == 8
    assert max(cost.predict(SPACE.spec, one) for one in found) <= 4.0
    free: list[Genotype] = finalists(
        dnas.darts(SPACE, epochs=1, steps_per_epoch=1), searched(search), 8, jax.random.key(0)
    )
    assert max(cost.predict(SPACE.spec, one) for one in free) > 4.0


def test_no_more_are_remembered_than_can_be_asked_for() -> None:
    search = dnas.zero_cost(SPACE, steps_per_epoch=1)
    state = jax.eval_shape(search.init, jax.random.key(0), jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32))
    assert state.memory["cell"].shape == (MOST, 6, 5)
