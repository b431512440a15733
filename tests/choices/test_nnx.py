"""Flax NNX modules with open choices: a space like any other."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dnas
from dnas.choices.nnx import Choice, InputChoice, Repeat
from dnas.selection import one_hot, random_genotype
from dnas.types import Batch, Batches, Genotype, Paths, SearchSpace, Variables

WIDTH = 4


class Normed(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.dense = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
        self.norm = nnx.BatchNorm(WIDTH, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.norm(self.dense(x))


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.act = Choice([nnx.relu, nnx.tanh], decision="act")
        self.dense = nnx.Linear(WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return x + self.act(self.dense(x))


class Net(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.first = Choice({"z": Normed(rngs), "a": nnx.Linear(WIDTH, WIDTH, rngs=rngs), "skip": lambda x: x})
        self.body = Repeat(Block, times=(0, 1, 2), rngs=rngs)
        self.branches = nnx.List([nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(3)])
        self.join = InputChoice(k=2)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.norm = nnx.BatchNorm(WIDTH, rngs=rngs)
        self.head = nnx.Linear(WIDTH, 2, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = self.body(self.first(x))
        x = self.join([branch(x) for branch in self.branches])
        return self.head(self.drop(self.norm(x)))


EXAMPLE = jnp.zeros((2, WIDTH))
X = jax.random.normal(jax.random.key(1), (6, WIDTH))


class Made:
    """The space, variables of its supernet, and its compiled functions."""

    def __init__(self) -> None:
        self.space: SearchSpace = dnas.space(lambda rngs: Net(rngs=rngs), EXAMPLE)
        self.variables: Variables = jax.jit(self.space.init)(jax.random.key(0), X)
        self.apply: Callable[..., Any] = jax.jit(self.space.apply, static_argnames="train")


@pytest.fixture(scope="module")
def net() -> Made:
    return Made()


def genotypes(space: SearchSpace, count: int) -> list[Genotype]:
    rng = np.random.default_rng(0)
    return [random_genotype(space, rng) for _ in range(count)]


def test_decisions_are_named_by_attributes(net: Made) -> None:
    assert {name: group.ops for name, group in net.space.spec.items()} == {
        "first": ("z", "a", "skip"),
        "body": ("0", "1", "2"),
        "act": ("relu", "tanh"),
        "join": ("0+1", "0+2", "1+2"),
    }
    assert net.space.name == "Net"


def test_one_hot_weights_compute_the_derived_network(net: Made) -> None:
    for genotype in genotypes(net.space, 3):
        weights = one_hot(net.space.spec, genotype)
        network, own = net.space.build(genotype), net.space.inherit(genotype, net.variables)
        fresh = jax.eval_shape(network.init, jax.random.key(0), X)
        assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, fresh)
        expected = network.apply(own, X, train=False)[0].logits
        np.testing.assert_allclose(net.apply(net.variables, weights, X, train=False)[0], expected, atol=1e-6)
        paths = {name: Paths(rows, jnp.argmax(rows, -1, keepdims=True)) for name, rows in weights.items()}
        np.testing.assert_allclose(net.apply(net.variables, paths, X, train=False)[0], expected, atol=1e-6)


def test_a_derived_network_has_what_it_needs_and_nothing_else(net: Made) -> None:
    names = {"first": "skip", "body": "1", "act": "tanh", "join": "0+2"}
    genotype = dnas.choices.derived.genotype_of(net.space.name, names)  # type: ignore[attr-defined]
    own = net.space.inherit(genotype, net.variables)
    assert set(own.params) == {"body", "branches", "head", "norm"}
    assert set(own.params["branches"]) == {"0", "2"}
    assert set(own.params["body"]["blocks"]) == {"0"}
    assert set(own.stats) == {"norm"}
    # Three layers of 4 * 4 + 4, 2 * 4 of batch norm, 4 * 2 + 2.
    assert net.space.build(genotype).workload((WIDTH,)) == (3 * 20 + 8 + 10, 3 * 16 + 8)


def test_statistics_move_in_training_only_where_something_is_computed(net: Made) -> None:
    weights = {name: jnp.eye(len(group.ops))[None, 1] for name, group in net.space.spec.items()}
    paths = {name: Paths(rows, jnp.argmax(rows, -1, keepdims=True)) for name, rows in weights.items()}
    before = net.variables.stats
    after = net.apply(net.variables, paths, X, train=True)[1]
    assert jax.tree.structure(after) == jax.tree.structure(before)
    assert not np.allclose(after["norm"]["mean"], before["norm"]["mean"])
    # "z" is not the path that is taken.
    for leaf in ("mean", "var"):
        own = [stats["first"]["options"]["z"]["norm"][leaf] for stats in (before, after)]
        np.testing.assert_array_equal(*own)
    np.testing.assert_array_equal(net.apply(net.variables, paths, X, train=False)[1]["norm"]["mean"], 0)


def test_dropout_draws_from_the_key_of_the_call(net: Made) -> None:
    [genotype] = genotypes(net.space, 1)
    network, own = net.space.build(genotype), net.space.inherit(genotype, net.variables)
    one, same, other = (network.apply(own, X, train=True, key=jax.random.key(seed))[0].logits for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    weights = one_hot(net.space.spec, genotype)
    first, stats = net.apply(net.variables, weights, X, train=True)
    assert not np.allclose(first, net.apply(Variables(net.variables.params, stats), weights, X, train=True)[0])


def test_a_search_step_changes_weights_and_architecture(net: Made) -> None:
    search = dnas.darts(net.space, epochs=1, steps_per_epoch=4)
    state = search.init(jax.random.key(0), X)
    batch = Batch(X, jnp.arange(6) % 2)
    after, info = jax.jit(search.step)(state, Batches(batch, batch))
    for old, new in ((state.alpha["first"], after.alpha["first"]), (state.params["head"], after.params["head"])):
        assert not all(map(np.array_equal, jax.tree.leaves(old), jax.tree.leaves(new)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(info))


def test_the_model_runs_by_itself_with_its_first_options() -> None:
    module = Net(rngs=nnx.Rngs(0))
    module.eval()
    own = module.head(module.norm(module.branches[0](h := module.first.options["z"](X)) + module.branches[1](h)))
    np.testing.assert_allclose(module(X), own, atol=1e-6)


def test_a_module_begins_with_its_own_values() -> None:
    module = Net(rngs=nnx.Rngs(3))
    space = dnas.space(module, EXAMPLE)
    params = space.init(jax.random.key(0), X).params
    np.testing.assert_array_equal(params["head"]["kernel"], module.head.kernel[...])
    assert set(space.spec) == {"first", "act", "body", "join"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "got int: give an instance"),
        (lambda rngs: 3, "got one that returns int"),
        (lambda: 3, "the function of rngs failed"),
        (lambda rngs: nnx.Linear(WIDTH, 2, rngs=rngs), "the model has no open choice"),
        (lambda rngs: Choice([nnx.Linear(3, 2, rngs=rngs), nnx.Linear(3, 1, rngs=rngs)]), "cannot take the example"),
        (lambda rngs: Repeat(Block, (2, 1), rngs), "increasing numbers"),
    ],
)
def test_what_is_no_model_is_refused(given: Any, words: str) -> None:
    with pytest.raises(dnas.UserError, match=words):
        dnas.space(given, EXAMPLE)
