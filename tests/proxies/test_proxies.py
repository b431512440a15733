"""Zero-cost proxies against closed forms, and against the derived network."""

import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas.proxies
from dnas import plugins
from dnas.choices.derived import genotype_of
from dnas.errors import UserError
from dnas.proxies.jacob_cov import K, jacob_cov
from dnas.proxies.synflow import synflow
from dnas.selection import one_hot
from dnas.types import Group, SearchSpace, Variables

SPEC = {"cell": Group(1, ("none", "linear"), (((0, 0),),), keep=None, concat=(1,))}
ON = {"cell": jnp.array([[0.0, 1.0]])}
OFF = {"cell": jnp.array([[1.0, 0.0]])}
SHAPES = ((6, 5), (5, 4), (4, 3))


def chain(body: Callable[[Any, Any], Any] = lambda h, w: h @ w) -> SearchSpace:
    """A chain of matrices on the one edge of the space."""

    def init(key: Any, x: Any) -> Variables:
        keys = jax.random.split(key, len(SHAPES))
        return Variables([jax.random.normal(own, shape) for own, shape in zip(keys, SHAPES, strict=True)], {})  # type: ignore[arg-type]

    def apply(variables: Any, mixture: Any, x: Any, *, train: bool) -> Any:
        for w in variables.params:
            x = body(x, w)
        return mixture["cell"][0, 1] * x, {}

    def refuse(*_: Any) -> Any:
        raise AssertionError("a proxy asks the supernet")

    return SearchSpace("chain", SPEC, init, apply, refuse, refuse, refuse)


class Net(nn.Module):
    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        x = dnas.Choice({"3x3": nn.Conv(4, (3, 3)), "5x5": nn.Conv(4, (5, 5))}, name="first")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        x = dnas.Choice({"skip": lambda x: x, "conv": nn.Conv(4, (3, 3))}, name="second")(x)
        return nn.Dense(3)(x.mean((1, 2)))


X = jax.random.normal(jax.random.key(3), (4, 6))


@pytest.fixture(scope="module")
def variables() -> Variables:
    return chain().init(jax.random.key(0), X)


def test_synflow_of_a_chain_is_its_flow_times_its_layers(variables: Variables) -> None:
    """Each layer's |w| dR/dw adds up to R itself, the sum of the product of all |w|."""
    flow = np.ones((1, 6)) @ np.linalg.multi_dot([np.abs(np.asarray(w, np.float64)) for w in variables.params])
    np.testing.assert_allclose(synflow(chain(), variables, ON, X), np.log(len(SHAPES) * flow.sum()), rtol=1e-5)
    np.testing.assert_allclose(synflow(chain(), variables, ON, 100 - X), synflow(chain(), variables, ON, X))


def test_synflow_of_a_deep_network_does_not_overflow() -> None:
    """30 layers that each multiply by 30: 1e44, beyond float32."""
    weights = Variables([jnp.full((3, 3), 10.0)] * 30, {})  # type: ignore[arg-type]
    found = synflow(chain(), weights, ON, jnp.ones((1, 3)))
    np.testing.assert_allclose(found, np.log(30 * 3) + 30 * np.log(30), rtol=1e-5)


def test_nothing_flows_through_nothing(variables: Variables) -> None:
    assert synflow(chain(), variables, OFF, X) == np.finfo(np.float32).min


def test_a_linear_network_sees_all_inputs_alike(variables: Variables) -> None:
    eigenvalues = np.array([len(X), *[0.0] * (len(X) - 1)]) + K
    lowest = -(np.log(eigenvalues) + 1 / eigenvalues).sum()
    np.testing.assert_allclose(jacob_cov(chain(), variables, ON, X), lowest, rtol=0.1)
    np.testing.assert_allclose(jacob_cov(chain(), variables, OFF, X), lowest, rtol=0.1)


def test_gradients_that_do_not_correlate_have_the_highest_score() -> None:
    """Of sum(x ** 2) / 2 the gradient is x: rows of a Hadamard matrix."""
    square = chain()._replace(apply=lambda v, m, x, *, train: (m["cell"][0, 1] * x**2 / 2, {}))
    rows = np.array([[1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.float32)
    highest = -3 * (np.log(1 + K) + 1 / (1 + K))
    np.testing.assert_allclose(jacob_cov(square, Variables({}, {}), ON, rows), highest, rtol=1e-5)
    mixed = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    own = np.linalg.eigvalsh(np.corrcoef(mixed)) + K
    found = jacob_cov(square, Variables({}, {}), ON, mixed)
    np.testing.assert_allclose(found, -(np.log(own) + 1 / own).sum(), rtol=1e-3)
    assert found < highest


def test_inputs_without_gradients_are_refused(variables: Variables) -> None:
    with pytest.raises(UserError, match=r"search\.proxies=synflow"):
        jacob_cov(chain(), variables, ON, jnp.zeros((4, 6), jnp.int32))


def test_inputs_may_be_trees_of_which_the_real_part_counts(variables: Variables) -> None:
    space = chain()

    def apply(variables: Any, mixture: Any, x: Any, *, train: bool) -> Any:
        return space.apply(variables, mixture, jnp.tanh(x["x"]) * (1 + x["kind"][:, None]), train=train)

    kinds = jnp.array([0, 1, 0, 1])
    tree = space._replace(apply=apply)
    plain = space._replace(apply=lambda v, m, x, *, train: apply(v, m, {"x": x, "kind": kinds}, train=train))
    found = jacob_cov(tree, variables, ON, {"x": X, "kind": kinds})
    np.testing.assert_allclose(found, jacob_cov(plain, variables, ON, X), rtol=1e-5)
    assert np.isfinite(synflow(tree, variables, ON, {"x": X, "kind": kinds}))


@pytest.mark.parametrize("name", sorted(plugins.names(plugins.PROXIES)))
def test_the_supernet_is_asked_as_the_derived_network_would_be(name: str) -> None:
    """Two routes: one-hot weights in the supernet, and the network that stands alone with the same weights."""
    proxy = getattr(plugins.find(plugins.PROXIES, "proxy", name), name)
    assert getattr(dnas.proxies, name) is proxy
    assert "arXiv" in (inspect.getmodule(proxy).__doc__ or "")  # type: ignore[union-attr]
    space = dnas.space(Net(), jnp.zeros((1, 8, 8, 3)))
    x = jax.random.normal(jax.random.key(1), (4, 8, 8, 3))
    own = jax.jit(space.init)(jax.random.key(0), x)
    genotype = genotype_of(space.name, {"first": "5x5", "second": "conv"})
    network = space.build(genotype)
    alone = space._replace(apply=lambda v, m, x, *, train: (network.apply(v, x, train=train)[0].logits, {}))
    whole = jax.jit(lambda v, m, x: proxy(space, v, m, x))(own, one_hot(space.spec, genotype), x)
    part = jax.jit(lambda v, x: proxy(alone, v, {}, x))(space.inherit(genotype, own), x)
    assert whole.shape == ()
    assert whole.dtype == jnp.float32
    np.testing.assert_allclose(whole, part, rtol=2e-3)
