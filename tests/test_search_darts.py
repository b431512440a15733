"""First-order DARTS on its own space: whole steps against the formulas, and its loops under scan and vmap."""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.methods.darts import darts as method
from dnas.types import Batch, Batches, Search, SearchState, Variables
from search_spaces import darts

STEPS, BATCH, CLASSES = 2, 8, 3
ROWS = {"normal", "reduce"}
# Large rates, and a bound that every gradient exceeds, so that each part of the step shows.
SETTINGS: dict[str, float] = {
    "weight_lr": 0.05,
    "weight_lr_min": 0.01,
    "momentum": 0.9,
    "weight_decay": 0.01,
    "clip_norm": 0.3,
    "alpha_lr": 0.2,
    "alpha_beta1": 0.5,
    "alpha_beta2": 0.999,
    "alpha_weight_decay": 0.05,
}
OPS = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
SPACE = darts.space(classes=CLASSES, channels=4, cells=3, nodes=1, ops=OPS)


class Compiled(NamedTuple):
    """What the tests share, so that each program is compiled once."""

    search: Search
    batches: Batches
    init: Any
    step: Any


def smooth() -> jax.Array:
    """From some keys an input comes so near a ReLU's kink that rounding decides its gradient; not from this one."""
    return jax.random.key(1)


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    search = method(SPACE, epochs=3, steps_per_epoch=1, **SETTINGS)
    rng = np.random.default_rng(0)

    def batch() -> Batch:
        x = rng.normal(size=(STEPS, BATCH, 8, 8, 1)).astype(np.float32)
        return Batch(jnp.asarray(x), jnp.asarray(rng.integers(0, CLASSES, (STEPS, BATCH))))

    batches = Batches(batch(), batch())
    init = jax.jit(lambda key: search.init(key, batches.train.x[0]))
    return Compiled(search, batches, init, jax.jit(chex.assert_max_traces(search.step, n=1)))


def at(batches: Any, step: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[step], batches)


def without_key(state: SearchState) -> SearchState:
    return state._replace(key=jax.random.key_data(state.key))


def level(params: Any, alpha: Any, stats: Any, batch: Batch) -> tuple[jax.Array, Any]:
    """Write out the loss of both levels: cross entropy of the supernet whose weights are a softmax of alpha."""
    exponents = {name: jnp.exp(rows) for name, rows in alpha.items()}
    weights = {name: rows / rows.sum(axis=1, keepdims=True) for name, rows in exponents.items()}
    logits, stats = SPACE.apply(Variables(params, stats), weights, batch.x, train=True)
    likelihood = logits - jax.scipy.special.logsumexp(logits, axis=1, keepdims=True)
    return -jnp.mean(likelihood[jnp.arange(BATCH), batch.y]), stats


def wide(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def narrow(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), tree)


def reference(state: SearchState, batches: Batches, steps: int) -> tuple[Any, Any, Any]:
    """Run whole steps in NumPy; only the two gradients are JAX's. Returns weights, alpha and statistics."""
    for_alpha = jax.jit(jax.grad(level, argnums=1, has_aux=True))
    for_weights = jax.jit(jax.grad(level, argnums=0, has_aux=True))
    s = SETTINGS
    weights, alpha, stats = wide(state.params), wide(dict(state.alpha)), state.stats
    first, second, buffer = (jax.tree.map(np.zeros_like, tree) for tree in (alpha, alpha, weights))
    for step in range(steps):
        batch = at(batches, step)
        gradient, stats = for_alpha(narrow(weights), narrow(alpha), stats, batch.valid)
        for name in ROWS:
            g = np.asarray(gradient[name], np.float64) + s["alpha_weight_decay"] * alpha[name]
            first[name] = s["alpha_beta1"] * first[name] + (1 - s["alpha_beta1"]) * g
            second[name] = s["alpha_beta2"] * second[name] + (1 - s["alpha_beta2"]) * g**2
            mean = first[name] / (1 - s["alpha_beta1"] ** (step + 1))
            square = second[name] / (1 - s["alpha_beta2"] ** (step + 1))
            alpha[name] = alpha[name] - s["alpha_lr"] * mean / (np.sqrt(square) + 1e-8)

        gradient, stats = for_weights(narrow(weights), narrow(alpha), stats, batch.train)
        gradient = wide(gradient)
        norm = np.sqrt(sum((g**2).sum() for g in jax.tree.leaves(gradient)))
        assert norm > 2 * s["clip_norm"]
        decayed = jax.tree.map(
            lambda g, w, norm=norm: g * s["clip_norm"] / (norm + 1e-6) + s["weight_decay"] * w, gradient, weights
        )
        buffer = jax.tree.map(lambda b, g: s["momentum"] * b + g, buffer, decayed)
        rate = s["weight_lr_min"] + (s["weight_lr"] - s["weight_lr_min"]) * (1 + np.cos(np.pi * step / 3)) / 2
        weights = jax.tree.map(lambda w, b, rate=rate: w - rate * b, weights, buffer)
    return weights, alpha, stats


def test_whole_steps_equal_the_formulas(compiled: Compiled) -> None:
    state = start = compiled.init(smooth())
    for step in range(STEPS):
        state, _ = compiled.step(state, at(compiled.batches, step))
    weights, alpha, stats = reference(start, compiled.batches, STEPS)
    assert jax.tree.structure(state.params) == jax.tree.structure(weights)
    for name in ROWS:
        np.testing.assert_allclose(state.alpha[name], alpha[name], atol=1e-4)
    jax.tree.map(lambda got, want: np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-5), state.params, weights)
    jax.tree.map(lambda got, want: np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4), state.stats, stats)
    # The weights moved much further than they may differ.
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), start.params, state.params)
    assert min(jax.tree.leaves(moved)) > 1e-4


def test_alpha_gradient_is_that_of_the_written_out_objective(compiled: Compiled) -> None:
    state, batch = compiled.init(jax.random.key(1)), at(compiled.batches, 0)
    after, _ = compiled.step(state, batch)
    expected, _ = jax.jit(jax.grad(level, argnums=1, has_aux=True))(
        state.params, dict(state.alpha), state.stats, batch.valid
    )
    # Adam's first moment after one step is (1 - beta1) times the gradient and its decay.
    (moment,) = [entry.mu for entry in after.alpha_opt if hasattr(entry, "mu")]
    for name in ROWS:
        gradient = moment[name] / (1 - SETTINGS["alpha_beta1"]) - SETTINGS["alpha_weight_decay"] * state.alpha[name]
        scale = float(jnp.abs(expected[name]).max())
        assert scale > 1e-3
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-5 * scale)


def test_optimiser_states_do_not_mix_the_levels(compiled: Compiled) -> None:
    state = compiled.init(jax.random.key(0))

    def trees(optimizer_state: Any) -> list[Any]:
        return [
            tree
            for entry in optimizer_state
            for tree in entry
            if jax.tree.leaves(tree) and not isinstance(tree, jax.Array)
        ]

    assert [jax.tree.structure(tree) for tree in trees(state.weight_opt)] == [jax.tree.structure(state.params)]
    assert [set(tree) for tree in trees(state.alpha_opt)] == [ROWS, ROWS]
    shapes = {leaf.shape for leaf in jax.tree.leaves(state.alpha)}
    assert shapes == {(2, len(OPS))}
    assert not shapes & {leaf.shape for leaf in jax.tree.leaves((state.params, state.weight_opt))}
    assert not any(
        "alpha" in jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state.params)
    )


def test_scan_equals_a_loop_and_repeats_bit_for_bit(compiled: Compiled) -> None:
    scan = jax.jit(lambda state, batches: jax.lax.scan(compiled.search.step, state, batches))
    scanned, infos = scan(compiled.init(smooth()), compiled.batches)
    again, _ = scan(compiled.init(smooth()), compiled.batches)
    jax.tree.map(np.testing.assert_array_equal, without_key(scanned), without_key(again))

    state = compiled.init(smooth())
    for step in range(STEPS):
        state, info = compiled.step(state, at(compiled.batches, step))
        chex.assert_trees_all_close(info, at(infos, step), rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(without_key(scanned), without_key(state), rtol=1e-3, atol=1e-4)
    assert int(scanned.step) == STEPS


def test_vmap_over_seeds_equals_separate_runs(compiled: Compiled) -> None:
    states = [compiled.init(jax.random.key(seed)) for seed in (0, 1)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    batch = at(compiled.batches, 0)
    together, infos = jax.jit(jax.vmap(compiled.search.step, in_axes=(0, None)))(stacked, batch)
    for index, state in enumerate(states):
        after, info = compiled.step(state, batch)
        chex.assert_trees_all_close(without_key(at(together, index)), without_key(after), rtol=1e-3, atol=2e-4)
        chex.assert_trees_all_close(at(infos, index), info, rtol=1e-4, atol=1e-5)
