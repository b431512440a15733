"""A model with open choices in training: statistics, random draws, types, and gradients of both levels."""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import Choice, space
from dnas.choices import Conv
from dnas.choices.derived import genotype_of
from dnas.types import Array, Paths, SearchSpace, Variables

X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6, 6, 3)), jnp.float32)


class Model(nn.Module):
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, *, deterministic: bool) -> Array:
        conv = nn.Conv(4, (3, 3), dtype=self.dtype)
        x = Conv((2, 4), ((1, 1), (3, 3)), dtype=self.dtype, decision="stem")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=deterministic, dtype=self.dtype)(x))
        x = Choice({"conv": conv, "pool": pool(4, self.dtype)}, decision="op")(x)
        x = nn.Dropout(0.5, deterministic=deterministic)(x)
        return nn.Dense(3, dtype=self.dtype)(x.mean((1, 2)))


def pool(width: int, dtype: Any) -> nn.Module:
    return nn.Sequential([lambda x: nn.avg_pool(x, (3, 3), padding="SAME"), nn.Conv(width, (1, 1), dtype=dtype)])


@pytest.fixture(scope="module")
def own() -> SearchSpace:
    return space(Model(), X)


def mixture(own: SearchSpace) -> dict[str, Array]:
    return {name: jnp.full((1, len(group.ops)), 1 / len(group.ops)) for name, group in own.spec.items()}


def test_statistics_move_in_training_only_and_draws_differ_from_step_to_step(own: SearchSpace) -> None:
    variables = own.init(jax.random.key(0), X)
    run = jax.jit(own.apply, static_argnames="train")
    first, after = run(variables, mixture(own), X, train=True)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, variables.stats)
    for before, leaf in zip(jax.tree.leaves(variables.stats), jax.tree.leaves(after), strict=True):
        assert not np.array_equal(before, leaf)
    again, _ = run(variables, mixture(own), X, train=True)
    second, _ = run(
        variables._replace(stats={**variables.stats, "dnas_key": after["dnas_key"]}), mixture(own), X, train=True
    )
    np.testing.assert_array_equal(again, first)
    assert not np.allclose(second, first)
    evaluated, stats = run(variables, mixture(own), X, train=False)
    chex.assert_trees_all_equal(stats, variables.stats)
    np.testing.assert_array_equal(run(variables, mixture(own), X, train=False)[0], evaluated)


def test_a_derived_network_draws_by_the_key_that_it_is_given(own: SearchSpace) -> None:
    genotype = genotype_of(own.name, {"stem.features": "2", "stem.kernel_size": "3x3", "op": "conv"})
    network = own.build(genotype)
    variables = network.init(jax.random.key(0), X)
    assert set(variables.stats) == {"batch_stats"}
    outs = [network.apply(variables, X, train=True, key=jax.random.key(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(outs[0][0].logits, outs[1][0].logits)
    assert not np.allclose(outs[0][0].logits, outs[2][0].logits)
    chex.assert_trees_all_equal_shapes_and_dtypes(outs[0][1], variables.stats)


def test_gradients_reach_every_weight_and_every_decision(own: SearchSpace) -> None:
    variables = own.init(jax.random.key(0), X)

    def loss(params: Any, mixture: Any) -> Array:
        return (own.apply(Variables(params, variables.stats), mixture, X, train=True)[0] ** 2).sum()

    params, weights = jax.jit(jax.grad(loss, (0, 1)))(variables.params, mixture(own))
    for leaf in (*jax.tree.leaves(params), *jax.tree.leaves(weights)):
        assert np.any(np.abs(leaf) > 0)
    paths = {name: Paths(rows, jnp.zeros((1, 1), jnp.int32)) for name, rows in mixture(own).items()}
    sampled = jax.jit(
        jax.grad(lambda w: loss(variables.params, {n: p._replace(weights=w[n]) for n, p in paths.items()}))
    )
    for leaf in sampled(mixture(own)).values():
        assert np.abs(leaf[0, 0]) > 0
        assert not np.any(leaf[0, 1:])


def test_a_model_may_compute_in_bfloat16() -> None:
    own = space(Model(jnp.bfloat16), X)
    variables = jax.eval_shape(own.init, jax.random.key(0), X)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables.params)} == {jnp.dtype("float32")}
    run = lambda v, x: own.apply(v, mixture(own), x, train=True)  # noqa: E731
    logits, stats = jax.eval_shape(run, variables, X)
    assert logits.dtype == jnp.bfloat16
    chex.assert_trees_all_equal_shapes_and_dtypes(stats, variables.stats)
    traced = jax.make_jaxpr(run)(variables, X)
    convolutions = [each for each in _equations(traced.jaxpr) if each.primitive.name == "conv_general_dilated"]
    assert len(convolutions) == 3
    assert {each.outvars[0].aval.dtype for each in convolutions} == {jnp.dtype("bfloat16")}


def _equations(jaxpr: Any) -> Any:
    for equation in jaxpr.eqns:
        yield equation
        # What a custom derivative calls forward; its backward rule is no program yet.
        for inner in (equation.params.get(name) for name in ("call_jaxpr", "jaxpr")):
            if inner is not None:
                yield from _equations(getattr(inner, "jaxpr", inner))


def test_seeds_run_together_as_they_do_apart(own: SearchSpace) -> None:
    keys = jax.random.split(jax.random.key(0))

    def run(key: Array) -> Array:
        return own.apply(own.init(key, X), mixture(own), X, train=True)[0]

    together = jax.jit(jax.vmap(run))(keys)
    apart = jnp.stack([jax.jit(run)(key) for key in keys])
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-5)
    assert not np.allclose(together[0], together[1])
