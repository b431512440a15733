"""The laws of a composed search, on a space so small that each is checked in full."""

from collections.abc import Callable, Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas.hypergradients.first_order import first_order
from dnas.hypergradients.unrolled import unrolled
from dnas.optimizers import clipped_sgd, l2_adam
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection import top_edges
from dnas.types import (
    Batch,
    Batches,
    Estimate,
    Group,
    Hypergradient,
    Lower,
    Relaxation,
    Search,
    SearchSpace,
    SearchState,
    Variables,
)

FEATURES, CLASSES, EDGES = 5, 3, 3
OPS = ("none", "linear", "tanh")
SPEC = {"toy": Group(EDGES, OPS, nodes=(((0, 0), (1, 1), (2, 2)),), keep=2, concat=(3,))}
OPTIMIZERS: dict[str, Any] = {
    "weight_optimizer": clipped_sgd(0.1, 0.9, 0.01, 0.05),
    "alpha_optimizer": l2_adam(0.2, 0.5, 0.999, 0.1),
}


def mixture(params: Mapping[str, jax.Array], weights: Mapping[str, jax.Array], x: jax.Array) -> jax.Array:
    """Sum one linear map and one of the inputs' tanh over the edges, each with its weight."""
    linear = jnp.einsum("nf,efc,e->nc", x, params["linear"], weights["toy"][:, 1])
    return linear + jnp.einsum("nf,efc,e->nc", jnp.tanh(x), params["tanh"], weights["toy"][:, 2])


def toy() -> SearchSpace:
    """Return a space whose statistics are a running mean of its inputs, which its logits use in evaluation only."""

    def init(key: jax.Array, x: jax.Array) -> Variables:
        keys = dict(zip(OPS[1:], jax.random.split(key), strict=True))
        shape = (EDGES, x.shape[-1], CLASSES)
        return Variables(
            {name: jax.random.normal(keys[name], shape) for name in keys}, {"mean": jnp.zeros(x.shape[-1])}
        )

    def apply(variables: Variables, weights: Any, x: jax.Array, *, train: bool) -> tuple[jax.Array, Any]:
        if not train:
            return mixture(variables.params, weights, x - variables.stats["mean"]), variables.stats
        return mixture(variables.params, weights, x), {"mean": 0.9 * variables.stats["mean"] + 0.1 * x.mean(axis=0)}

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a search must not build a derived network")

    return SearchSpace("toy", SPEC, init, apply, refuse, refuse, refuse)


def composed(**parts: Any) -> Search:
    chosen = {"relaxation": softmax(), "hypergradient": first_order(), **OPTIMIZERS, **parts}
    return compose(toy(), selection=top_edges, **chosen)


def draw(steps: int, seed: int = 0, size: int = 8) -> Batches:
    """Return batches for some steps whose labels can be read off the first inputs, with a leading axis."""
    rng = np.random.default_rng(seed)

    def batch() -> Batch:
        y = rng.integers(0, CLASSES, (steps, size))
        x = rng.normal(size=(steps, size, FEATURES)) + 3.0 * np.eye(FEATURES)[y]
        return Batch(jnp.asarray(x, jnp.float32), jnp.asarray(y))

    return Batches(train=batch(), valid=batch())


def at(batches: Any, step: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[step], batches)


def start(search: Search, seed: int = 0) -> SearchState:
    return jax.jit(search.init)(jax.random.key(seed), jnp.zeros((8, FEATURES)))


def plain(tree: Any) -> Any:
    """Return a tree with its random keys as numbers, to be compared."""
    return jax.tree.map(
        lambda leaf: jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf, tree
    )


def assert_same_bits(first: Any, second: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, plain(first), plain(second))


def objective(params: Any, alpha: Any, batch: Batch) -> jax.Array:
    """Write out the loss that both levels have: cross entropy of the softmax mixture."""
    exponent = jnp.exp(alpha["toy"])
    logits = mixture(params, {"toy": exponent / exponent.sum(axis=1, keepdims=True)}, batch.x)
    chosen = jnp.take_along_axis(logits, batch.y[:, None], axis=1)[:, 0]
    return jnp.mean(jnp.log(jnp.exp(logits).sum(axis=1)) - chosen)


def test_a_search_says_whether_its_steps_differentiate_a_gradient() -> None:
    assert composed(hypergradient=unrolled()).second_order
    assert not composed(hypergradient=first_order()).second_order


def test_alpha_moves_against_the_gradient_of_the_written_out_objective() -> None:
    search = composed(alpha_optimizer=optax.sgd(0.7))
    state, batches = start(search), at(draw(1), 0)
    after, info = jax.jit(search.step)(state, batches)
    gradient = jax.grad(objective, argnums=1)(state.params, state.alpha, batches.valid)["toy"]
    np.testing.assert_allclose((state.alpha["toy"] - after.alpha["toy"]) / 0.7, gradient, rtol=1e-4, atol=1e-6)
    assert np.abs(gradient).min() > 1e-4
    assert float(info.valid_loss) == pytest.approx(float(objective(state.params, state.alpha, batches.valid)), rel=1e-5)


def test_weights_move_against_the_gradient_at_the_new_alpha() -> None:
    search = composed(weight_optimizer=optax.sgd(0.3))
    state, batches = start(search), at(draw(1), 0)
    after, info = jax.jit(search.step)(state, batches)
    moved = jax.tree.map(lambda a, b: (a - b) / 0.3, state.params, after.params)

    def distance(alpha: Any) -> float:
        expected = jax.grad(objective)(state.params, alpha, batches.train)
        norms = [np.linalg.norm(moved[name] - expected[name]) / np.linalg.norm(expected[name]) for name in expected]
        return float(max(norms))

    assert distance(after.alpha) < 1e-5
    assert distance(state.alpha) > 1e-2
    assert float(info.train_loss) == pytest.approx(float(objective(state.params, after.alpha, batches.train)), rel=1e-5)


def test_statistics_pass_through_the_alpha_step_and_then_the_weight_step() -> None:
    search = composed()
    state, batches = start(search), at(draw(1), 0)
    after, _ = jax.jit(search.step)(state, batches)
    expected = 0.9 * 0.1 * batches.valid.x.mean(axis=0) + 0.1 * batches.train.x.mean(axis=0)
    np.testing.assert_allclose(after.stats["mean"], expected, rtol=1e-5)


def test_each_optimiser_has_its_own_level_only() -> None:
    search = composed()
    state = start(search)
    shapes = [leaf.shape for leaf in jax.tree.leaves(state.params)]
    alpha = [(EDGES, len(OPS))]
    assert [leaf.shape for leaf in jax.tree.leaves(state.weight_opt) if leaf.ndim] == shapes
    assert [leaf.shape for leaf in jax.tree.leaves(state.alpha_opt) if leaf.ndim] == 2 * alpha
    assert [leaf.shape for leaf in jax.tree.leaves(state.alpha)] == alpha
    assert (EDGES, len(OPS)) not in shapes


def silent() -> Hypergradient:
    """Return a hypergradient that is always zero."""

    def estimate(key: Any, problem: Any, lower: Lower, alpha: Any, state: Any, batches: Batches) -> Any:
        loss, evaluation = problem.outer(lower.params, alpha, lower.stats, batches.valid, key)
        return Estimate(jax.tree.map(jnp.zeros_like, alpha), loss, evaluation), state

    return Hypergradient(lambda params, alpha: (), estimate)


def test_weight_decay_and_clipping_of_one_level_leave_the_other_alone() -> None:
    batches = at(draw(1), 0)
    decaying = composed(
        hypergradient=silent(), alpha_optimizer=optax.sgd(1.0), weight_optimizer=clipped_sgd(0.1, 0.9, 9.0, 1e-3)
    )
    state = start(decaying)
    after, _ = jax.jit(decaying.step)(state, batches)
    assert_same_bits(after.alpha, state.alpha)
    assert not np.array_equal(after.params["linear"], state.params["linear"])

    frozen = composed(weight_optimizer=optax.set_to_zero(), alpha_optimizer=l2_adam(0.1, 0.5, 0.999, 9.0))
    after, _ = jax.jit(frozen.step)(start(frozen), batches)
    assert_same_bits(after.params, state.params)
    assert not np.array_equal(after.alpha["toy"], state.alpha["toy"])

    # However hard the weights' gradient is clipped, alpha takes its full step.
    steps = [
        jax.jit(search.step)(start(search), batches)[0].alpha["toy"]
        for search in (composed(weight_optimizer=clipped_sgd(0.1, 0.9, 0.0, clip)) for clip in (0.0, 1e-6))
    ]
    np.testing.assert_array_equal(*steps)


def test_information_is_that_of_the_two_batches() -> None:
    search = composed()
    state, batches = start(search), at(draw(1), 0)
    after, info = jax.jit(search.step)(state, batches)
    chex.assert_shape(list(info), ())
    chex.assert_type(list(info), jnp.float32)
    for value, alpha, batch in (
        (info.valid_accuracy, state.alpha, batches.valid),
        (info.train_accuracy, after.alpha, batches.train),
    ):
        logits = mixture(state.params, {"toy": jax.nn.softmax(alpha["toy"])}, batch.x)
        assert float(value) == pytest.approx(float((np.argmax(logits, axis=1) == batch.y).mean()))


def test_scan_equals_a_loop() -> None:
    search, batches = composed(), draw(6)
    scanned, infos = jax.jit(lambda state, batches: jax.lax.scan(search.step, state, batches))(start(search), batches)
    state, step, each = start(search), jax.jit(search.step), []
    for index in range(6):
        state, info = step(state, at(batches, index))
        each.append(info)
    chex.assert_trees_all_close(plain(scanned), plain(state), rtol=1e-6, atol=1e-6)
    chex.assert_trees_all_close(infos, jax.tree.map(lambda *leaves: jnp.stack(leaves), *each), rtol=1e-6, atol=1e-6)
    assert int(scanned.step) == 6


def test_split_scan_equals_a_whole_one_bit_for_bit() -> None:
    search, batches = composed(), draw(6)
    run = jax.jit(lambda state, batches: jax.lax.scan(search.step, state, batches)[0])
    halves = start(search)
    for part in (slice(0, 3), slice(3, 6)):
        halves = run(halves, jax.tree.map(lambda leaf, part=part: leaf[part], batches))
    assert_same_bits(halves, run(start(search), batches))


def test_one_trace_for_many_steps() -> None:
    search, batches = composed(), draw(5)
    step = jax.jit(chex.assert_max_traces(search.step, n=1))
    state = start(search)
    for index in range(5):
        state, _ = step(state, at(batches, index))
    assert int(state.step) == 5


def noisy() -> Relaxation:
    """Return a softmax of alpha and noise that shrinks from step to step."""

    def weights(key: jax.Array, alpha: Any, state: jax.Array) -> Any:
        return {
            name: jax.nn.softmax(rows + jax.random.normal(key, rows.shape) / (1.0 + state))
            for name, rows in alpha.items()
        }

    def init(key: jax.Array, spec: Any) -> Any:
        return softmax().init(key, spec)[0], jnp.zeros(())

    def advance(key: jax.Array, before: Any, after: Any, state: jax.Array) -> Any:
        return after, state + 1.0

    return Relaxation(init, weights, softmax().expected, advance)


@pytest.mark.parametrize("relaxation", [softmax, noisy])
def test_same_seed_same_bits(relaxation: Callable[[], Relaxation]) -> None:
    batches = draw(4)

    def run(seed: int) -> SearchState:
        search = composed(relaxation=relaxation())
        scan = jax.jit(lambda state, batches: jax.lax.scan(search.step, state, batches)[0])
        return scan(start(search, seed), batches)

    first = run(3)
    assert_same_bits(first, run(3))
    assert not np.array_equal(first.alpha["toy"], run(4).alpha["toy"])


def test_the_relaxation_advances_once_a_step() -> None:
    search, batches = composed(relaxation=noisy()), draw(3)
    state = jax.jit(lambda s, b: jax.lax.scan(search.step, s, b)[0])(start(search), batches)
    assert float(state.relaxation) == 3.0


def test_every_step_and_both_levels_draw_their_own_noise() -> None:
    keys: list[jax.Array] = []

    def weights(key: jax.Array, alpha: Any, state: Any) -> Any:
        jax.debug.callback(lambda data: keys.append(tuple(np.asarray(data).tolist())), jax.random.key_data(key))
        return softmax().weights(key, alpha, state)

    search, batches = composed(relaxation=softmax()._replace(weights=weights)), draw(3)
    jax.block_until_ready(jax.jit(lambda s, b: jax.lax.scan(search.step, s, b))(start(search), batches))
    jax.effects_barrier()
    assert len(keys) == len(set(keys)) == 6


def test_vmap_over_seeds_equals_separate_runs() -> None:
    search, batches = composed(), draw(4)
    keys = jax.random.split(jax.random.key(0), 2)

    def run(key: jax.Array) -> SearchState:
        state = search.init(key, jnp.zeros((8, FEATURES)))
        return jax.lax.scan(search.step, state, batches)[0]

    together, single = jax.jit(jax.vmap(run))(keys), jax.jit(run)
    for index in range(2):
        chex.assert_trees_all_close(plain(at(together, index)), plain(single(keys[index])), rtol=1e-4, atol=1e-5)


def test_losses_fall_on_separable_data() -> None:
    search = composed(weight_optimizer=clipped_sgd(0.05, 0.9, 3e-4, 5.0))
    _, infos = jax.jit(lambda s, b: jax.lax.scan(search.step, s, b))(start(search), draw(150))
    for losses in (infos.train_loss, infos.valid_loss):
        assert losses[-10:].mean() < 0.3 * losses[:3].mean()
    assert infos.valid_accuracy[-10:].mean() > 0.9


def test_prediction_uses_running_statistics_and_selection_the_present_weights() -> None:
    search, batches = composed(), draw(3)
    state = jax.jit(lambda s, b: jax.lax.scan(search.step, s, b)[0])(start(search), batches)
    x = batches.valid.x[0]
    weights = search.weights(state)
    np.testing.assert_allclose(weights["toy"].sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(
        search.predict(state, x), mixture(state.params, weights, x - state.stats["mean"]), rtol=1e-5
    )
    alpha = np.array([[9.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 1.0, 0.0]], np.float32)
    genotype = search.select(state._replace(alpha={"toy": jnp.asarray(alpha)}))
    assert str(genotype) == "toy: tanh<-1 linear<-2 ; concat 3"


def test_loss_is_an_argument() -> None:
    search = composed(loss=lambda logits, labels: jnp.sum(logits) * 0.0 + 7.0)
    _, info = jax.jit(search.step)(start(search), at(draw(1), 0))
    assert float(info.train_loss) == float(info.valid_loss) == 7.0
