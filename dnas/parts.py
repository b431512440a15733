"""What every composition shares: a search's parts, its objective and updates, and what is read off its state."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dnas.genotype import Genotype
from dnas.relaxations.masked import offered
from dnas.tasks import first_metric, scalar_loss, task_of
from dnas.types import (
    Alpha,
    Array,
    Batch,
    Evaluation,
    Mixture,
    Objective,
    Params,
    PRNGKey,
    Regulariser,
    Relaxation,
    Search,
    SearchSpace,
    SearchState,
    Selection,
    Stats,
    Task,
    Variables,
    Weights,
)

Change = Callable[[Mixture, Variables, Batch], Mixture]
"""`(mixture, variables, batch) -> mixture`: what is done to a mixture before a supernet computes with it."""


class Told(NamedTuple):
    """Loss and accuracy, or the task's first metric, of one minibatch, as float32 scalars."""

    loss: Array
    accuracy: Array


class Parts(NamedTuple):
    """What a search is composed of.

    Attributes:
        space: what may be chosen.
        relaxation: how `alpha` becomes operation weights.
        selection: which architecture is kept in the end.
        weight_optimizer: updates the weights, and never sees `alpha`.
        alpha_optimizer: updates `alpha`, and never sees the weights.
        task: what the outputs are for; its loss is that of both levels.
        regularisers: added to the outer loss.
    """

    space: SearchSpace
    relaxation: Relaxation
    selection: Selection
    weight_optimizer: optax.GradientTransformation
    alpha_optimizer: optax.GradientTransformation
    task: Task
    regularisers: tuple[Regulariser, ...] = ()

    def begin(self, key: PRNGKey, x: Array) -> SearchState:
        """Return the initial state, with an empty state of the hypergradient."""
        key_weights, key_alpha, key_steps = jax.random.split(key, 3)
        variables = self.space.init(key_weights, x)
        alpha, relaxation = self.relaxation.init(key_alpha, self.space.spec)
        return SearchState(
            params=variables.params,
            stats=variables.stats,
            alpha=alpha,
            weight_opt=self.weight_optimizer.init(variables.params),
            alpha_opt=self.alpha_optimizer.init(dict(alpha)),
            relaxation=relaxation,
            hypergradient=(),
            key=key_steps,
            step=jnp.zeros((), jnp.int32),
            charge=() if self.space.charge is None else self.space.charge.penalty.init(),
        )

    def objective(self, relaxation: Any, change: Change | None = None) -> Objective:
        """Return the supernet's loss in training mode, while the relaxation is in the given state."""

        def evaluate(
            params: Params, alpha: Alpha, stats: Stats, batch: Batch, key: PRNGKey
        ) -> tuple[Array, Evaluation]:
            mixture = self.relaxation.weights(key, alpha, relaxation)
            variables = Variables(params, stats)
            if change is not None:
                mixture = change(mixture, variables, batch)
            outputs, stats = self.space.apply(variables, mixture, batch.x, train=True)
            return scalar_loss(self.task, outputs, batch), Evaluation(stats, outputs)

        return evaluate

    def told(self, loss: Array, evaluation: Evaluation, batch: Batch) -> Told:
        """Return what is reported of an evaluation."""
        return Told(loss.astype(jnp.float32), first_metric(self.task, evaluation.outputs, batch))

    def update(
        self, grads: Params, opt: optax.OptState, params: Params, resting: Callable[[Params], Params] | None = None
    ) -> tuple[Params, optax.OptState]:
        """Take one step of the weights; `resting` zeroes the gradients and updates of those that rest."""
        rest = resting or (lambda tree: tree)
        updates, opt = self.weight_optimizer.update(rest(grads), opt, params)
        return optax.apply_updates(params, rest(updates)), opt

    def update_alpha(self, grads: Alpha, loss: Array, state: SearchState) -> dict[str, Any]:
        """Return the fields of a state that a step of `alpha` changes.

        Args:
            grads: of the outer loss; what regularisers and the space's charge add comes here. A charge sees the loss
                without regularisers.
            loss: the outer loss of which these are the gradients; a charge may multiply it.
            state: before the step.
        """
        alpha, charge, charged = dict(state.alpha), self.space.charge, state.charge
        if charge is not None:
            expected, back = jax.vjp(partial(self._costs, relaxation=state.relaxation), alpha)
            loss = loss.astype(expected.dtype)
            scale, slopes = jax.grad(charge.penalty.total, argnums=(0, 1))(loss, expected, charged)
            grads = jax.tree.map(lambda of_loss, of_costs: scale * of_loss + of_costs, dict(grads), back(slopes)[0])
            charged = charge.penalty.advance(expected, charged)
        if self.regularisers:
            grads = jax.tree.map(jnp.add, dict(grads), jax.grad(self._penalty)(alpha, state.relaxation))
        updates, opt = self.alpha_optimizer.update(dict(grads), state.alpha_opt, alpha)
        return {"alpha": optax.apply_updates(alpha, updates), "alpha_opt": opt, "charge": charged}

    def advance(self, key: PRNGKey, before: SearchState, after: SearchState, moved: Array | None = None) -> SearchState:
        """Return the state after a step whose relaxation has moved on; `alpha` is projected, where the charge does so.

        Args:
            key: with which the update's weights were drawn.
            before: the state before the step.
            after: the state with its new `alpha`.
            moved: () bool, whether `alpha` moved and did not rest; `None`: it did.
        """
        alpha, relaxation = self.relaxation.advance(key, before.alpha, after.alpha, before.relaxation)
        project = None if self.space.charge is None else self.space.charge.penalty.project
        if project is not None:
            # At last, so that it holds of what a search goes on with, whatever a relaxation does to alpha.
            costs = partial(self._costs, relaxation=relaxation)
            due = jnp.asarray(True) if moved is None else moved
            alpha = lax.cond(due, lambda alpha: project(alpha, costs), lambda alpha: alpha, dict(alpha))
        return after._replace(alpha=alpha, relaxation=relaxation)

    def _costs(self, alpha: Alpha, relaxation: Any) -> Array:
        assert self.space.charge is not None
        return self.space.charge.costs(self.relaxation.expected(alpha, relaxation))

    def _penalty(self, alpha: Alpha, relaxation: Any) -> Array:
        weights = self.relaxation.expected(alpha, relaxation)
        return jnp.sum(jnp.stack([regulariser(alpha, weights) for regulariser in self.regularisers]))

    def weights(self, state: SearchState) -> Weights:
        """Return the present operation weights, as the relaxation expects them."""
        return self.relaxation.expected(state.alpha, state.relaxation)

    def predict(self, state: SearchState, x: Array) -> Array:
        """Return the supernet's outputs in evaluation mode."""
        return self.space.apply(Variables(state.params, state.stats), self.weights(state), x, train=False)[0]

    def select(self, state: SearchState) -> Genotype:
        """Return the architecture that is kept of the present operation weights."""
        return keep(self.space, self.selection, jax.device_get(self.weights(state)))

    def search(self, init: Callable[..., SearchState], step: Callable[..., Any]) -> Search:
        """Return the search that starts and steps in this way."""
        return Search(self.space, init, step, self.weights, self.predict, self.select)


def keep(space: SearchSpace, selection: Selection, weights: Weights) -> Genotype:
    """Return the architecture that is selected of these weights, or the one that the space's charge keeps instead."""
    chosen = selection(space, weights)
    return chosen if space.charge is None else space.charge.keep(space, weights, chosen)


def gathered(
    space: SearchSpace,
    relaxation: Relaxation,
    selection: Selection,
    weight_optimizer: optax.GradientTransformation,
    alpha_optimizer: optax.GradientTransformation,
    loss: Callable[[Any, Any], Array] | None,
    regularisers: Sequence[Regulariser],
) -> Parts:
    """Return the parts of a search whose relaxation mixes only what the edges of the space offer.

    The task is the space's; a `loss`, `(outputs, targets) -> ()`, takes the place of its own.
    """
    own, task = offered(relaxation, space.spec), task_of(space)
    if loss is not None:
        task = task._replace(loss=lambda outputs, batch: loss(outputs, batch.y))
    return Parts(space, own, selection, weight_optimizer, alpha_optimizer, task, tuple(regularisers))
