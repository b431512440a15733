"""Windows, streams and searches of the recurrent space."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas.losses import cross_entropy
from dnas.optimizers import clipped_sgd
from dnas.selection import random_genotype
from dnas.train import supervised
from dnas.types import Batch, Batches, Paths, SearchState, Variables
from search_spaces import rnn
from search_spaces.rnn.epochs import evaluation, search_epoch, train_epoch

CLASSES, UNITS, NODES, COLUMNS, LENGTH = 7, 4, 2, 5, 3
SPACE = rnn.space(classes=CLASSES, units=UNITS, nodes=NODES)
GROUP = SPACE.spec["recurrent"]
close = partial(jax.tree.map, partial(np.testing.assert_allclose, rtol=2e-4, atol=1e-5))


def tokens(length: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).integers(0, CLASSES, (COLUMNS, length)), jnp.int32)


def mixture(seed: int = 0) -> dict[str, jax.Array]:
    rows = np.random.default_rng(seed).random((GROUP.edges, len(GROUP.ops)))
    return {"recurrent": jnp.asarray(rows / rows.sum(axis=1, keepdims=True), jnp.float32)}


@partial(jax.jit, static_argnums=2)
def supernet(variables: Variables, x: jax.Array, train: bool) -> tuple[jax.Array, Any]:
    return SPACE.apply(variables, mixture(), x, train=train)


@pytest.fixture(scope="module")
def variables() -> Variables:
    first = SPACE.init(jax.random.key(1), tokens(LENGTH))
    return first._replace(params=jax.tree.map(lambda leaf: 10 * leaf, first.params))


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("lengths", [(3, 3), (1, 1, 1, 1, 1, 1)], ids=["halves", "loop of steps"])
def test_windows_after_each_other_are_one_window(variables: Variables, train: bool, lengths: tuple[int, ...]) -> None:
    x = tokens(6)
    whole, expected = supernet(variables, x, train)
    stats, pieces = variables.stats, []
    for part in jnp.split(x, np.cumsum(lengths)[:-1], axis=1):
        logits, stats = supernet(Variables(variables.params, stats), part, train)
        pieces.append(logits)
    close(jnp.concatenate(pieces, axis=1), whole)
    close(stats, expected)


def test_streams_go_on_apart(variables: Variables) -> None:
    first, second = tokens(6, 1), tokens(6, 2)
    x = [rnn.marked(first[:, :3], rnn.TRAIN, CLASSES), rnn.marked(second[:, :3], rnn.VALID, CLASSES)]
    x += [rnn.marked(first[:, 3:], rnn.TRAIN, CLASSES), rnn.marked(second[:, 3:], rnn.VALID, CLASSES)]
    stats, seen = variables.stats, []
    for part in x:
        logits, stats = supernet(Variables(variables.params, stats), part, False)
        seen.append(logits)
    for own, stream in ((first, rnn.TRAIN), (second, rnn.VALID)):
        alone, after = supernet(variables, own, False)
        close(jnp.concatenate(seen[stream::2], axis=1), alone)
        close(stats["hidden"][stream], after["hidden"][rnn.TRAIN])
    anew = rnn.begin(stats, 2)["hidden"]
    assert anew.shape == (2, 2, UNITS)
    assert not anew.any()


def test_paths_that_are_not_active_count_as_absent(variables: Variables) -> None:
    active = jnp.array([[1], [4], [2]])
    rows = mixture()["recurrent"]
    kept = jnp.where(jax.nn.one_hot(active[:, 0], len(GROUP.ops), dtype=bool), rows, 0)
    expected, _ = SPACE.apply(variables, {"recurrent": kept}, tokens(LENGTH), train=True)
    some, _ = SPACE.apply(variables, {"recurrent": Paths(rows, active)}, tokens(LENGTH), train=True)
    close(some, expected)


def test_every_operation_but_none_has_a_gradient(variables: Variables) -> None:
    def loss(rows: jax.Array) -> jax.Array:
        return cross_entropy(SPACE.apply(variables, {"recurrent": rows}, tokens(4), train=True)[0], tokens(4, 9))

    grads = jax.jit(jax.grad(loss))(mixture()["recurrent"])
    none = GROUP.ops.index("none")
    assert not grads[:, none].any()
    assert (jnp.abs(jnp.delete(grads, none, axis=1)) > 1e-8).all()


def test_computing_in_bfloat16_keeps_float32_variables() -> None:
    space = rnn.space(classes=CLASSES, units=UNITS, nodes=NODES, dtype="bfloat16")
    own = space.init(jax.random.key(0), tokens(LENGTH))
    logits, stats = jax.eval_shape(lambda v: space.apply(v, mixture(), tokens(LENGTH), train=True), own)
    assert {leaf.dtype for leaf in jax.tree.leaves((own, logits, stats))} == {jnp.dtype("float32")}


def searched(method: Any = dnas.darts) -> Any:
    return method(SPACE, epochs=2, steps_per_epoch=3, weight_lr=2.0, momentum=0.0, clip_norm=0.25, alpha_lr=0.05)


def begun(search: Any, seed: int) -> SearchState:
    return search.init(jax.random.key(seed), tokens(LENGTH))


def test_second_order_searches_too() -> None:
    search = searched(dnas.darts_second_order)
    train, valid = tokens(3 * LENGTH + 1), tokens(2 * LENGTH + 2, 5)
    before = jax.eval_shape(lambda: begun(search, 0))
    after, _ = jax.eval_shape(search_epoch(search, CLASSES, LENGTH), before, train, valid)
    assert jax.tree.structure(after) == jax.tree.structure(before)


def test_an_epoch_is_a_loop_of_steps_with_two_hidden_states() -> None:
    search = searched()
    train, valid = tokens(3 * LENGTH + 1), tokens(2 * LENGTH + 2, 5)
    state = begun(search, 0)
    after, loss = jax.jit(search_epoch(search, CLASSES, LENGTH))(state, train, valid)
    step, losses = jax.jit(search.step), []
    for index in range(3):
        place, other = index * LENGTH, (index % 2) * LENGTH
        batches = Batches(
            Batch(train[:, place : place + LENGTH], train[:, place + 1 : place + LENGTH + 1]),
            Batch(valid[:, other : other + LENGTH] + CLASSES, valid[:, other + 1 : other + LENGTH + 1]),
        )
        state, info = step(state, batches)
        losses.append(float(info.train_loss))
    close((after.params, after.alpha, after.stats), (state.params, state.alpha, state.stats))
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-5)
    assert after.stats["hidden"].any(axis=(1, 2)).all()
    assert jnp.abs(after.alpha["recurrent"] - begun(search, 0).alpha["recurrent"]).min() > 0


def test_seeds_search_together_as_they_do_apart() -> None:
    search = searched()
    epoch = search_epoch(search, CLASSES, LENGTH)
    train, valid = tokens(3 * LENGTH + 1), tokens(2 * LENGTH + 2, 5)
    states = [begun(search, seed) for seed in range(2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    together, losses = jax.jit(jax.vmap(epoch, (0, None, None)))(stacked, train, valid)
    for seed, state in enumerate(states):
        apart, loss = jax.jit(epoch)(state, train, valid)
        close(jax.tree.map(lambda leaf, seed=seed: leaf[seed], together.params), apart.params)
        assert float(losses[seed]) == pytest.approx(float(loss), rel=1e-4)


def test_training_learns_a_text_that_repeats_itself() -> None:
    # Token k is followed by k + 1: after a few epochs there is nothing left to guess.
    columns = jnp.asarray((np.arange(61) + np.arange(COLUMNS)[:, None]) % CLASSES, jnp.int32)
    genotype = random_genotype(SPACE, np.random.default_rng(0))
    network = rnn.build(
        genotype,
        classes=CLASSES,
        units=12,
        hidden_dropout=0.1,
        output_dropout=0.0,
        input_dropout=0.0,
        embedding_dropout=0.0,
        word_dropout=0.0,
    )
    training = supervised(network, clipped_sgd(5.0, 0.0, 0.0, 0.25))
    state = training.init(jax.random.key(0), columns[:, :4])
    evaluate = jax.jit(evaluation(lambda v, x: _logits(network, v, x), 4))
    uniform = float(evaluate(Variables(jax.tree.map(jnp.zeros_like, state.params), state.stats), columns))
    assert uniform == pytest.approx(np.log(CLASSES), rel=1e-5)
    epoch = jax.jit(train_epoch(training, 4))
    for _ in range(30):
        state, _ = epoch(state, columns)
    assert float(evaluate(Variables(state.params, state.stats), columns)) < 0.1 * uniform


def _logits(network: Any, variables: Variables, x: jax.Array) -> tuple[jax.Array, Any]:
    output, stats = network.apply(variables, x, train=False)
    return output.logits, stats


def test_dropout_keeps_its_masks_for_a_window_and_its_mean() -> None:
    genotype = random_genotype(SPACE, np.random.default_rng(0))
    rates = dict.fromkeys(("hidden_dropout", "input_dropout", "embedding_dropout", "word_dropout"), 0.0)
    network = rnn.build(genotype, classes=CLASSES, units=UNITS, output_dropout=0.5, **rates)
    own = network.init(jax.random.key(0), tokens(LENGTH))
    eye = jnp.eye(CLASSES, UNITS)
    own = Variables({**own.params, "embedding": eye}, {"hidden": jnp.ones_like(own.stats["hidden"])})
    # The decoder shows the first units as they are, so that a mask can be read off.
    plain = network.apply(own, tokens(LENGTH), train=False)[0].logits[..., :UNITS]
    keys = jax.random.split(jax.random.key(1), 400)

    @jax.jit
    @jax.vmap
    def ratio(key: jax.Array) -> jax.Array:
        return network.apply(own, tokens(LENGTH), train=True, key=key)[0].logits[..., :UNITS] / plain

    ratios = ratio(keys)
    np.testing.assert_allclose(ratios, jnp.broadcast_to(ratios[:, :, :1], ratios.shape), atol=1e-3)
    assert {round(float(value), 2) for value in np.unique(np.round(ratios, 2))} == {0.0, 2.0}
    # Of 400 draws of variance 1, for each of 20 entries.
    assert float(jnp.abs(ratios[:, :, 0].mean(axis=0) - 1).max()) < 5 * 400**-0.5
