"""Tasks: what losses and metrics are means over, what masks keep out, and what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas import tasks
from dnas.hypergradients.first_order import first_order
from dnas.losses import accuracy, cross_entropy
from dnas.relaxations.softmax import softmax
from dnas.scoring import scorer
from dnas.search import compose
from dnas.selection import top_edges
from dnas.splitting import split_search
from dnas.tasks import Masked, batch_weight, first_metric, metric_names, scalar_loss, task_of
from dnas.train import supervised
from dnas.types import Batch, Batches, Group, Network, Output, SearchSpace, Task, Variables, Workload

RNG = np.random.default_rng(0)
LOGITS = jnp.asarray(RNG.normal(size=(6, 3)), jnp.float32)
LABELS = jnp.asarray([0, 1, 2, 2, 1, 0])
MASK = jnp.asarray([True, False, True, True, False, False])
ALL = {
    "classification": (tasks.classification(), LOGITS, LABELS),
    "next_token": (tasks.next_token(), LOGITS.reshape(2, 3, 3), LABELS.reshape(2, 3)),
    "regression": (tasks.regression(), LOGITS[:, 0], LABELS.astype(jnp.float32)),
}
Given = tuple[Task, jax.Array, jax.Array]


@pytest.fixture(params=ALL)
def given(request: pytest.FixtureRequest) -> Given:
    """A task with outputs and targets."""
    return ALL[request.param]


def test_classification_is_cross_entropy_and_accuracy_to_the_bit() -> None:
    task, batch = tasks.classification(), Batch(LOGITS, LABELS)
    assert scalar_loss(task, LOGITS, batch) == cross_entropy(LOGITS, LABELS)
    assert dict(task.metrics(LOGITS, batch)) == {"accuracy": accuracy(LOGITS, LABELS)}


def test_undecided_tokens_take_as_many_bits_as_there_are_doublings() -> None:
    batch = Batch(None, jnp.zeros((2, 5), jnp.int32))
    found = tasks.next_token().metrics(jnp.zeros((2, 5, 8)), batch)
    np.testing.assert_allclose(found["bits"], 3, rtol=1e-6)


def test_regression_in_closed_form() -> None:
    batch = Batch(None, jnp.array([1.0, 2.0, 4.0]))
    for outputs in (jnp.array([1.0, 4.0, 3.0]), jnp.array([[1.0], [4.0], [3.0]])):
        found = tasks.regression().metrics(outputs, batch)
        np.testing.assert_allclose((found["mse"], found["mae"]), (5 / 3, 1.0), rtol=1e-6)
        np.testing.assert_allclose(scalar_loss(tasks.regression(), outputs, batch), 5 / 3, rtol=1e-6)


def test_a_mask_of_all_changes_nothing_and_one_of_some_is_the_subset(given: Given) -> None:
    task, outputs, targets = given
    mask = MASK.reshape(targets.shape)
    plain, everything = Batch(None, targets), Batch(None, Masked(targets, jnp.ones_like(mask)))
    some, subset = Batch(None, Masked(targets, mask)), Batch(None, targets[mask])
    for one, other, own in ((plain, everything, outputs), (subset, some, outputs)):
        left = outputs[mask] if one is subset else own
        np.testing.assert_allclose(scalar_loss(task, left, one), scalar_loss(task, own, other), rtol=1e-6)
        np.testing.assert_allclose(
            np.array(list(task.metrics(left, one).values())),
            np.array(list(task.metrics(own, other).values())),
            rtol=1e-6,
        )
        assert batch_weight(task, one) == batch_weight(task, other)


def test_what_is_outside_of_a_mask_has_no_influence(given: Given) -> None:
    task, outputs, targets = given
    mask = MASK.reshape(targets.shape)
    strange = jnp.where(mask, targets, jnp.nan if targets.dtype == jnp.float32 else -1)

    def loss(outputs: jax.Array, targets: jax.Array) -> jax.Array:
        return scalar_loss(task, outputs, Batch(None, Masked(targets, mask)))

    grads = jax.grad(loss)(outputs, strange)
    np.testing.assert_array_equal(grads[~mask], 0)
    assert (np.abs(grads[mask]) > 0).any()
    np.testing.assert_array_equal(grads, jax.grad(loss)(outputs, targets))
    np.testing.assert_array_equal(loss(outputs, strange), loss(outputs, targets))


@pytest.mark.parametrize("sizes", [(6,), (4, 2), (1, 2, 3), (1, 5)])
def test_scores_of_unequal_batches_are_those_of_all_data(given: Given, sizes: tuple[int, ...]) -> None:
    task, outputs, targets = given
    if task is ALL["next_token"][0]:
        outputs, targets = outputs.reshape(6, 1, 3), targets.reshape(6, 1)
    for mask in (None, MASK.reshape(targets.shape)):
        y = targets if mask is None else Masked(targets, mask)
        score, ends = scorer(lambda state, x: state * x, task), np.cumsum(sizes)
        starts = ends - sizes
        parts = [
            jax.tree.map(lambda leaf, i=i, j=j: leaf[i:j], Batch(outputs, y)) for i, j in zip(starts, ends, strict=True)
        ]
        found, whole = score(jnp.float32(1), parts), score(jnp.float32(1), [Batch(outputs, y)])
        assert list(found) == [*metric_names(task, outputs, Batch(outputs, y)), "loss"]
        np.testing.assert_allclose(list(found.values()), list(whole.values()), rtol=1e-6)
        np.testing.assert_allclose(found["loss"], scalar_loss(task, outputs, Batch(None, y)), rtol=1e-6)


def test_weights_that_shapes_tell_are_numbers() -> None:
    task = tasks.classification()
    assert batch_weight(task, Batch(None, LABELS)) == 6.0
    assert isinstance(batch_weight(task, Batch(None, LABELS)), float)
    assert batch_weight(Task(task.loss, task.metrics), Batch(None, {"a": jnp.zeros((4, 2))})) == 4.0
    np.testing.assert_allclose(batch_weight(task, Batch(None, Masked(LABELS, MASK))), 3.0)


# What searches do with a task.

SPEC = {"edges": Group(1, ("one", "two"), nodes=(((0, 0),),), keep=1, concat=(1,))}


def space(task: Task | None, outputs: tuple[int, ...] = (3,)) -> SearchSpace:
    """A supernet whose outputs are a weight times its operations' weights times inputs that are a pytree."""

    def init(key: jax.Array, x: Any) -> Variables:
        return Variables({"w": jax.random.normal(key, outputs)}, {})

    def apply(variables: Variables, mixture: Any, x: Any, *, train: bool) -> Any:
        del train
        size = x["a"] * mixture["edges"][0, 0] + x["b"] * mixture["edges"][0, 1]
        return jnp.tensordot(size, variables.params["w"], axes=0), variables.stats

    def build(genotype: Any) -> Network:
        one = {"edges": jnp.array([[1.0, 0.0]])}

        def run(variables: Variables, x: Any, *, train: bool, key: Any = None, drop_path: Any = 0.0) -> Any:
            return Output(apply(variables, one, x, train=train)[0]), variables.stats

        return Network(init, run, lambda shape: Workload(3, 0))

    return SearchSpace("tree", SPEC, init, apply, build, lambda genotype, own: own, lambda shape: None, task=task)


def pairs(y: Any) -> Batches:
    batch = Batch({"a": jnp.arange(6.0), "b": jnp.ones(6)}, y)
    return Batches(batch, batch)


def stepped(kind: Any, own: SearchSpace, batches: Batches, **more: Any) -> Any:
    parts = () if kind is split_search else (first_order(),)
    search = kind(own, softmax(), *parts, top_edges, optax.sgd(0.1), optax.sgd(0.1), **more)
    state = search.init(jax.random.key(0), batches.train.x)
    return search.step(state, batches)[1]


@pytest.mark.parametrize("kind", [compose, split_search])
def test_searches_and_trainings_use_the_task_of_the_space(kind: Any) -> None:
    by_task = stepped(kind, space(None), pairs(LABELS))
    # The same cross entropy given as a loss, and a task with a metric of its own.
    by_loss = stepped(kind, space(None), pairs(LABELS), loss=cross_entropy)
    assert [float(value) for value in by_task] == [float(value) for value in by_loss]
    task = tasks.regression()
    info = stepped(kind, space(task, ()), pairs(jnp.arange(6.0)))
    np.testing.assert_array_equal(info.train_loss, info.train_accuracy)
    training = supervised(space(task, ()).build(None), optax.sgd(0.1), task=task)
    batch = pairs(3 * jnp.arange(6.0)).train
    state = training.init(jax.random.key(0), batch.x)
    _, told = training.step(state, batch)
    expected = np.square(np.arange(6) * (float(state.params["w"]) - 3)).mean()
    np.testing.assert_allclose((told.train_loss, told.train_accuracy), (expected, expected), rtol=1e-5)


def _rows(outputs: Any, batch: Batch) -> Any:
    return jnp.square(outputs - batch.y)


BAD = {
    "loss": (Task(_rows, tasks.regression().metrics), ("loss has shape (6,)", "expected ()")),
    "metric": (Task(tasks.regression().loss, lambda o, b: {"own": _rows(o, b)}), ("'own' has shape (6,)",)),
    "none": (Task(tasks.regression().loss, lambda o, b: {}), ("no metrics",)),
}


@pytest.mark.parametrize("name", BAD)
def test_tasks_that_are_none_are_refused_in_one_sentence(name: str, sentence: Any) -> None:
    task, words = BAD[name]
    with sentence(*words):
        stepped(compose, space(task, ()), pairs(jnp.arange(6.0)))


def test_shapes_that_do_not_fit_are_refused(sentence: Any) -> None:
    with sentence("(6, 3)", "(6,)"):
        scalar_loss(tasks.regression(), LOGITS, Batch(None, LABELS))
    with sentence("a mask has shape (2,)", "(6,)"):
        scalar_loss(tasks.classification(), LOGITS, Batch(None, Masked(LABELS, jnp.ones((2, 1))[:, 0])))
    with sentence("hold nothing to score"):
        scorer(lambda state, x: x, tasks.classification())(0, [])


def test_no_task_is_classification() -> None:
    found = first_metric(task_of(space(None)), LOGITS, Batch(None, LABELS))
    assert found == accuracy(LOGITS, LABELS)
