"""What a search remembers of its curvature: every measurement, the operation weights there, and the newest states.

Measurement i is taken at the end of epoch `every * i`, where the first epoch is epoch 0, as in the reference code of
R-DARTS (automl/RobustDARTS, `train_search.py`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.compiling import compiler_options
from dnas.stopping.curvature import lanczos
from dnas.tasks import scalar_loss, task_of
from dnas.types import Alpha, Array, Batch, Search, SearchState, Variables, Weights


class Measured(NamedTuple):
    """The `memory` of a search that measures its curvature M times.

    Attributes:
        eigenvalues: `(M,)` float32; 0 where nothing has been measured yet.
        weights: for each group `(M, edges, ops)`, the operation weights at each measurement.
        states: the states of the newest R measurements without key and memory, each leaf `(R, ...)`; measurement i
            is at i modulo R. `()` where none is kept.
    """

    eigenvalues: Array
    weights: Weights
    states: Any


class Measuring(NamedTuple):
    """When and how a search measures its curvature.

    Attributes:
        every: epochs from one measurement to the next.
        epochs: epochs of the search.
        steps_per_epoch: steps in an epoch.
        kept: measurements R of which the whole state is kept.
        products: Hessian-vector products of a measurement.
        weight_decay: the architecture parameters' L2 coefficient, which is part of the curvature.
    """

    every: int
    epochs: int
    steps_per_epoch: int
    kept: int
    products: int
    weight_decay: float

    def count(self, state: SearchState) -> int:
        """Return how many measurements have been taken."""
        return -(-(int(state.step) // self.steps_per_epoch) // self.every)

    def due(self, state: SearchState) -> bool:
        """Whether there is one to be taken at the end of this epoch."""
        return (int(state.step) // self.steps_per_epoch - 1) % self.every == 0

    def history(self, state: SearchState) -> list[float]:
        """Return the eigenvalues so far."""
        count = self.count(state)
        found: list[float] = np.asarray(state.memory.eigenvalues)[:count].tolist() if count else []
        return found

    def begin(self, search: Search, state: SearchState) -> SearchState:
        """Return the initial state with an empty memory."""
        count = -(-self.epochs // self.every)
        zeros = jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape), leaf.dtype), search.weights(state))
        ring = jax.tree.map(lambda leaf: jnp.zeros((self.kept, *leaf.shape), leaf.dtype), _lasting(state))
        return state._replace(memory=Measured(jnp.zeros(count), zeros, ring if self.kept else ()))

    def program(self, search: Search) -> Callable[[SearchState, Batch, int], SearchState]:
        """Return `(state, batch, index) -> state`, compiled: takes measurement `index` and remembers it.

        It is the largest eigenvalue of the Hessian of the batch's loss with respect to `alpha`, at the expected
        operation weights and with the batch's own statistics. One that is not finite counts as 0, from which no rise is
        ever reckoned.
        """

        task = task_of(search.space)

        def measure(state: SearchState, batch: Batch, index: Array) -> SearchState:
            def loss(alpha: Alpha) -> Array:
                mixture = search.weights(state._replace(alpha=alpha))
                variables = Variables(state.params, state.stats)
                outputs, _ = search.space.apply(variables, mixture, batch.x, train=True)
                return scalar_loss(task, outputs, batch)

            key = jax.random.fold_in(state.key, state.step)
            found = lanczos(loss, dict(state.alpha), key, steps=self.products, weight_decay=self.weight_decay)[-1]
            found = jnp.nan_to_num(found, posinf=0.0, neginf=0.0)
            memory = state.memory
            weights = jax.tree.map(lambda rows, now: rows.at[index].set(now), memory.weights, search.weights(state))
            states = memory.states
            if self.kept:
                slot = index % self.kept
                states = jax.tree.map(lambda ring, leaf: ring.at[slot].set(leaf), states, _lasting(state))
            return state._replace(memory=Measured(memory.eigenvalues.at[index].set(found), weights, states))

        return jax.jit(measure, compiler_options=compiler_options(second_order=True))

    def recall(self, state: SearchState, index: int) -> SearchState:
        """Return the state after measurement `index`, one of the newest R, its later eigenvalues forgotten."""
        memory = state.memory
        then = jax.tree.map(lambda ring: ring[index % self.kept], memory.states)
        eigenvalues = jnp.where(jnp.arange(len(memory.eigenvalues)) <= index, memory.eigenvalues, 0.0)
        recalled: SearchState = then._replace(key=state.key, memory=memory._replace(eigenvalues=eigenvalues))
        return recalled


def _lasting(state: SearchState) -> SearchState:
    return state._replace(key=(), memory=())  # type: ignore[arg-type]
