"""R-DARTS: where a search ends, goes back to and goes on from, against the pure rule on the recorded curvature."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas.losses import cross_entropy
from dnas.run.directory import RunDirectory
from dnas.run.loop import Finished, Lane, last_state
from dnas.run.searching import Searching
from dnas.selection import top_edges
from dnas.stopping import adaptive_weight_decay, curvature_rise
from dnas.stopping.measured import Measuring
from dnas.types import Batch, Batches, Search, SearchSpace, SearchState, Variables

RULE: dict[str, Any] = {"every": 1, "window": 3, "lag": 1, "earliest": 1}
DECAY = 0.01
Ran = tuple[RunDirectory, list[Searching], Finished, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def make(pixels: SearchSpace) -> Callable[..., Callable[[int], Search]]:
    """Return `(**settings) -> make`: any growth of the curvature is a rise, which learning weights brings about."""

    def of(**settings: Any) -> Callable[[int], Search]:
        given = {"epochs": 9, "alpha_lr": 0.03, "weight_decay": DECAY, "weight_lr": 0.1, "ratio": 1.0}
        return lambda steps: dnas.r_darts(pixels, steps_per_epoch=steps, **{**given, **RULE, **settings})

    return of


@pytest.fixture(scope="module")
def driven(begin: Any, to_the_end: Any, lines: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ran]:
    def drive(make: Callable[[int], Search]) -> Ran:
        run = RunDirectory.create(tmp_path_factory.mktemp("r_darts") / "run", False)
        stages, finished = to_the_end(begin(make), run)
        return run, stages, finished, lines(run)

    return drive


@pytest.fixture(scope="module")
def stopped(driven: Any, make: Any) -> Ran:
    ran: Ran = driven(make())
    return ran


@pytest.fixture(scope="module")
def adapted(driven: Any, make: Any) -> Ran:
    ran: Ran = driven(make(adaptive=True, factor=2.0, cap=4 * DECAY))
    return ran


def test_it_ends_where_the_rule_says_and_selects_what_stood_before_the_rise(stopped: Ran, pixels: SearchSpace) -> None:
    _, [stage], finished, lines = stopped
    history = [line["eigenvalue"] for line in lines]
    epochs = [curvature_rise(history[: count + 1], ratio=1.0, **RULE) for count in range(len(history))]
    assert len(history) < 9
    assert epochs[:-1] == [None] * (len(history) - 1)
    assert epochs[-1] is not None
    assert 1 <= epochs[-1] < len(history) - 1
    remembered = {"cell": np.array(lines[epochs[-1]]["weights"]["cell"])}
    found = stage.search.select(finished.state)
    assert str(found) == lines[epochs[-1]]["genotype"]
    assert found == top_edges(pixels, remembered)


def test_an_earlier_epoch_s_architecture_is_selected_even_if_the_last_differs(make: Any, pixels: SearchSpace) -> None:
    search = make()(4)
    state = search.init(jax.random.key(0), jnp.zeros((2, 1, 3, 1)))
    rows = jnp.zeros((9, 3, 3)).at[:, 0, 1].set(1.0).at[2].set(0.0).at[2, 1, 2].set(1.0)
    memory = state.memory._replace(eigenvalues=jnp.array([1.0, 1, 1, 1, 4, 0, 0, 0, 0]), weights={"cell": rows})
    state = state._replace(memory=memory, step=jnp.int32(5 * 4))
    assert curvature_rise([1.0, 1, 1, 1, 4], ratio=1.0, **RULE) == 2
    [kept] = search.select(state)["cell"].nodes[0]
    assert (kept.op, kept.source) == ("skip_connect", 1)
    assert search.course.done(state)
    assert not search.course.done(state._replace(step=jnp.int32(4 * 4)))


def test_the_eigenvalue_is_that_of_the_whole_hessian(begin: Any, make: Any, pixels: SearchSpace) -> None:
    seen: list[Any] = []

    def watched(steps: int) -> Search:
        search = make(alpha_weight_decay=0.5)(steps)

        def turn(state: SearchState, between: Any) -> SearchState:
            seen.append((state, between.batches(2).valid))
            return search.course.turn(state, between)

        return search._replace(course=search.course._replace(turn=turn))

    stage = begin(watched)
    state = stage.search.init(jax.random.key(1), jnp.zeros((2, 1, 3, 1)))._replace(step=jnp.int32(3 * 4))
    after = stage.phase.turn(state)
    [(state, batch)] = seen

    def loss(alpha: jax.Array) -> jax.Array:
        mixture = {"cell": jax.nn.softmax(alpha, axis=-1)}
        logits, _ = pixels.apply(Variables(state.params, {}), mixture, batch.x, train=True)
        return cross_entropy(logits, batch.y)

    hessian = np.asarray(jax.jit(jax.hessian(loss))(state.alpha["cell"])).reshape(9, 9)
    expected = np.linalg.eigvalsh(hessian)[-1] + 0.5
    assert after.memory.eigenvalues[2] == pytest.approx(expected, rel=1e-4)
    assert np.count_nonzero(after.memory.eigenvalues) == 1
    assert stage.search.course.note(after) == {"eigenvalue": float(after.memory.eigenvalues[2])}


def test_measurements_are_as_far_apart_as_asked(make: Any) -> None:
    measuring = Measuring(every=2, epochs=6, steps_per_epoch=4, kept=0, products=1, weight_decay=0.0)
    search = make()(4)
    state = measuring.begin(search, search.init(jax.random.key(0), jnp.zeros((2, 1, 3, 1))))
    assert state.memory.eigenvalues.shape == (3,)
    after = [state._replace(step=jnp.int32(4 * epoch)) for epoch in range(1, 7)]
    assert [measuring.due(state) for state in after] == [True, False] * 3
    assert [len(measuring.history(state)) for state in after] == [1, 1, 2, 2, 3, 3]


def test_it_goes_back_to_the_remembered_state_with_more_weight_decay(adapted: Ran, bits: Any) -> None:
    run, stages, _, _ = adapted
    assert len(stages) == 3
    earliest, decay = RULE["earliest"], DECAY
    for before, after in pairwise(stages):
        first = after.phase.init()
        ended = last_state(Lane(before.phase, run), first)
        history = np.asarray(ended.memory.eigenvalues)[: int(ended.step) // 4].tolist()
        rule = {**RULE, "earliest": earliest}
        back = adaptive_weight_decay(history, decay, factor=2.0, cap=4 * DECAY, ratio=1.0, **rule)
        assert back is not None
        assert int(first.step) == 4 * (back.epoch + 1)
        slot = back.epoch % 3
        kept = jax.tree.map(lambda ring, slot=slot: ring[slot], ended.memory.states)
        assert bits(first._replace(memory=())) == bits(kept._replace(key=first.key))
        np.testing.assert_array_equal(first.memory.eigenvalues[: back.epoch + 1], np.float32(back.eigenvalues))
        assert not np.any(first.memory.eigenvalues[back.epoch + 1 :])
        noted = after.search.course.note(first)["weight_decay"]
        assert decay < noted == back.weight_decay
        earliest, decay = back.epoch, noted


def test_the_remembered_state_is_the_one_that_was(adapted: Ran, driven: Any, make: Any, bits: Any) -> None:
    """A search that ends at the epoch gone back to, with the same schedule, ends in the state gone back to."""
    _, stages, _, _ = adapted
    first = stages[1].phase.init()
    epoch = int(first.step) // 4

    def short(steps: int) -> Search:
        search = make(adaptive=True, factor=2.0, cap=4 * DECAY)(steps)
        return search._replace(course=search.course._replace(epochs=epoch, done=None, then=None))

    _, _, finished, _ = driven(short)
    assert bits(finished.state._replace(memory=())) == bits(first._replace(memory=()))


def test_the_record_is_that_of_the_epochs_that_count(adapted: Ran) -> None:
    _, _, finished, lines = adapted
    assert [line["epoch"] for line in lines] == list(range(1, 10))
    assert int(finished.state.step) == 9 * 4
    decays = [line["weight_decay"] for line in lines]
    assert decays == sorted(decays)
    assert decays[-1] == pytest.approx(4 * DECAY)
    measured = np.float32([line["eigenvalue"] for line in lines])
    np.testing.assert_array_equal(finished.state.memory.eigenvalues, measured)


def test_interrupted_across_a_rollback_it_ends_in_the_same_bits(
    again_and_again: Any, make: Any, adapted: Ran, lines: Any, bits: Any
) -> None:
    run, finished = again_and_again(make(adaptive=True, factor=2.0, cap=4 * DECAY), 5)
    assert bits(finished.state) == bits(adapted[2].state)
    assert lines(run) == adapted[3]


def test_settings_that_cannot_work_are_refused(pixels: SearchSpace, sentence: Any) -> None:
    with sentence("window", 4):
        dnas.r_darts(pixels, steps_per_epoch=1, window=4)
    with sentence("factor", 1.0):
        dnas.r_darts(pixels, steps_per_epoch=1, adaptive=True, factor=1.0)


@pytest.fixture(scope="module")
def batches() -> Batches:
    rng = np.random.default_rng(0)
    batch = Batch(jnp.asarray(rng.normal(size=(8, 1, 3, 1)), jnp.float32), jnp.asarray(np.arange(8) % 2))
    return Batches(batch, batch)


def test_the_larger_weight_decay_is_that_of_the_steps(adapted: Ran, batches: Batches) -> None:
    _, stages, _, _ = adapted
    state = stages[1].phase.init()
    rate = 0.001 + 0.5 * (0.1 - 0.001) * (1 + np.cos(np.pi * (int(state.step) // 4) / 9))
    weak, strong = (np.asarray(stage.search.step(state, batches)[0].params["w"]) for stage in stages[:2])
    np.testing.assert_allclose((weak - strong) / (rate * np.asarray(state.params["w"])), DECAY, rtol=1e-2)
