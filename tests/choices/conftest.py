"""What every model with open choices promises, as one check that the files here share."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dnas
from dnas.choices.derived import genotype_of
from dnas.selection import one_hot, random_genotype
from dnas.types import Network, Paths, SearchSpace, Variables


class Net(nn.Module):
    """A model made of a function that calls layers."""

    run: Callable[..., Any]

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        return self.run(x, train)


class NnxNet(nnx.Module):
    """Layers by name and a function that calls them; a layer of fixed width ends it."""

    def __init__(self, layers: dict[str, Any], run: Callable[..., Any], ends: int, rngs: nnx.Rngs) -> None:
        self.layers = nnx.Dict(layers)
        self.run = run
        self.end = nnx.Linear(ends, 2, rngs=rngs) if ends else None

    def __call__(self, x: Any) -> Any:
        y = self.run(self.layers, x)
        return y if self.end is None else self.end(y)


class Derived(NamedTuple):
    """A derived network with the weights that it inherits, which the laws hold for."""

    network: Network
    variables: Variables
    outputs: Any


def _moved(variables: Variables) -> Variables:
    """Return variables none of which has the value that it begins with: no bias is zero, no variance one."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: (
            leaf + abs(rng.normal(size=leaf.shape)).astype(np.float32) / 5
            if jnp.issubdtype(leaf.dtype, jnp.floating)
            else leaf
        ),
        variables,
    )


class Held:
    """A space and a supernet of it, whose derived networks are held to the laws."""

    def __init__(self, space: SearchSpace, x: Any) -> None:
        self.space, self.x = space, x
        self.variables = _moved(jax.jit(space.init)(jax.random.key(0), x))
        self.mixed = jax.jit(lambda mixture, x: space.apply(self.variables, mixture, x, train=False)[0])

    def derive(self, **options: str) -> Derived:
        """Return the network with these options, having held it against the supernet that computes them alone."""
        genotype = genotype_of(self.space.name, options)
        weights = one_hot(self.space.spec, genotype)
        network, inherited = self.space.build(genotype), self.space.inherit(genotype, self.variables)
        outputs = network.apply(inherited, self.x, train=False)[0].logits
        paths = {name: Paths(rows, np.argmax(rows, -1, keepdims=True)) for name, rows in weights.items()}
        close = dict(rtol=1e-4, atol=1e-5)
        chex.assert_trees_all_close(outputs, self.mixed(weights, self.x), **close)
        chex.assert_trees_all_close(outputs, self.mixed(paths, self.x), **close)
        fresh = jax.eval_shape(network.init, jax.random.key(0), self.x)
        chex.assert_trees_all_equal_shapes_and_dtypes(fresh, inherited)
        return Derived(network, inherited, outputs)

    def some(self, count: int = 3) -> list[Derived]:
        """Return `count` networks with options at random."""
        genotypes = [random_genotype(self.space, np.random.default_rng(seed)) for seed in range(count)]
        return [self.derive(**{name: cell.nodes[0][0].op for name, cell in own.cells}) for own in genotypes]

    def mix(self, **weights: Any) -> Any:
        """Return the supernet's outputs with these weights `(K,)`, equal ones for other decisions."""
        mixture: Mapping[str, Any] = {
            name: jnp.asarray(weights.get(name, np.full(len(group.ops), 1 / len(group.ops), np.float32)))[None]
            for name, group in self.space.spec.items()
        }
        return self.mixed(mixture, self.x)


@pytest.fixture(scope="session")
def net() -> type[Net]:
    return Net


@pytest.fixture(scope="session")
def nnx_space() -> Callable[..., SearchSpace]:
    """Return `(make, ends, x) -> SearchSpace`; `make(rngs)` returns layers by name and a function that calls them."""
    return lambda make, ends, x: dnas.space(lambda rngs: NnxNet(*make(rngs), ends, rngs), x)


@pytest.fixture(scope="session")
def hold() -> type[Held]:
    return Held


@pytest.fixture(scope="session")
def lowered() -> Callable[[Derived, Any], str]:
    """Return `(network, x) -> text` of its program as JAX lowers it."""

    def text(own: Derived, x: Any) -> str:
        run = jax.jit(lambda variables, x: own.network.apply(variables, x, train=False)[0])
        return run.lower(own.variables, x).as_text()

    return text
