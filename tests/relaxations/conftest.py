"""One edge or a few with a known alpha, drawn many times, and mixed as a supernet would."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from dnas.types import Group, Paths, Relaxation

OPS = ("none", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")


class Edge(NamedTuple):
    """A relaxation's state over one group `g`, with helpers that leave the group's name out."""

    relaxation: Relaxation
    state: Any
    group: Group

    def weights(self, key: jax.Array, rows: Any) -> Any:
        return self.relaxation.weights(key, {"g": jnp.asarray(rows)}, self.state)["g"]

    def expected(self, rows: Any) -> jax.Array:
        return self.relaxation.expected({"g": jnp.asarray(rows)}, self.state)["g"]

    def advance(self, key: jax.Array, before: Any, after: Any) -> jax.Array:
        advance = jax.jit(self.relaxation.advance)
        return advance(key, {"g": jnp.asarray(before)}, {"g": jnp.asarray(after)}, self.state)[0]["g"]

    def later(self, steps: int) -> "Edge":
        """The same after so many steps."""
        rows = {"g": jnp.zeros((self.group.edges, len(self.group.ops)))}
        state = self.state
        advance = jax.jit(self.relaxation.advance)
        for _ in range(steps):
            _, state = advance(jax.random.key(0), rows, rows, state)
        return self._replace(state=state)

    def draw(self, rows: Any, count: int, seed: int = 0) -> Any:
        """Weights for `count` keys."""
        keys = jax.random.split(jax.random.key(seed), count)
        return jax.jit(jax.vmap(self.weights, (0, None)))(keys, jnp.asarray(rows))

    def jacobians(self, rows: Any, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Weights `(count, edges, ops)` and their derivatives for each edge's own alpha `(count, edges, ops, ops)`."""

        def dense(alpha: jax.Array, key: jax.Array) -> jax.Array:
            drawn = self.weights(key, alpha)
            return drawn.weights if isinstance(drawn, Paths) else drawn

        def both(alpha: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
            return dense(alpha, key), jax.jacrev(dense)(alpha, key)

        keys, edges = jax.random.split(jax.random.key(seed), count), np.arange(self.group.edges)
        drawn, whole = jax.jit(jax.vmap(both, (None, 0)))(jnp.asarray(rows), keys)
        # Weights of an edge depend on no other edge.
        apart = np.moveaxis(np.asarray(whole), 3, 2)[:, edges[:, None] != edges]
        np.testing.assert_array_equal(apart, 0)
        return np.asarray(drawn), np.asarray(whole)[:, edges, :, edges].swapaxes(0, 1)


@pytest.fixture(scope="session")
def on_edges() -> Callable[..., Edge]:
    """Return `(relaxation, edges, ops) -> Edge`."""

    def make(relaxation: Relaxation, edges: int = 1, ops: tuple[str, ...] = OPS) -> Edge:
        group = Group(edges, ops)
        return Edge(relaxation, relaxation.init(jax.random.key(0), {"g": group})[1], group)

    return make


@pytest.fixture(scope="session")
def mix() -> Callable[[Any, jax.Array], jax.Array]:
    """Return `(weights, outputs (edges, ops, ...)) -> (edges, ...)`: what a supernet adds up on each edge."""

    def mixture(rows: Any, outputs: jax.Array) -> jax.Array:
        if isinstance(rows, Paths):
            edges = jnp.arange(len(rows.active))[:, None]
            return jnp.einsum("ep,ep...->e...", rows.weights[edges, rows.active], outputs[edges, rows.active])
        return jnp.einsum("ek,ek...->e...", rows, outputs)

    return mixture


@pytest.fixture(scope="session")
def agree() -> Callable[[Any, Any], None]:
    """Expect counts that a chi-square test finds no fault with: `(counts, probabilities)`."""

    def check(counts: Any, probabilities: Any) -> None:
        counts, probabilities = np.asarray(counts, float), np.asarray(probabilities, float)
        assert probabilities.sum() == pytest.approx(1.0, rel=1e-5)
        assert (counts[probabilities == 0] == 0).all()
        some = probabilities > 0
        expected = counts.sum() * probabilities[some] / probabilities[some].sum()
        assert expected.min() > 5
        assert chisquare(counts[some], expected).pvalue > 1e-3

    return check
