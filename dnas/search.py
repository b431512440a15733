"""Composing a search from its parts.

One step is the alternation of DARTS (arXiv:1806.09055, algorithm 1): a step of the architecture parameters on a
validation minibatch, then a step of the weights on a training minibatch.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from dnas.genotype import Genotype
from dnas.losses import accuracy, cross_entropy
from dnas.types import (
    Alpha,
    Array,
    Batch,
    Batches,
    Bilevel,
    Evaluation,
    Hypergradient,
    Lower,
    Params,
    PRNGKey,
    Relaxation,
    Search,
    SearchInfo,
    SearchSpace,
    SearchState,
    Selection,
    Stats,
    Variables,
    Weights,
)


def compose(
    space: SearchSpace,
    relaxation: Relaxation,
    hypergradient: Hypergradient,
    selection: Selection,
    weight_optimizer: optax.GradientTransformation,
    alpha_optimizer: optax.GradientTransformation,
    loss: Callable[[Array, Array], Array] = cross_entropy,
) -> Search:
    """Return the search made of these parts.

    Args:
        space: what may be chosen.
        relaxation: how `alpha` becomes operation weights.
        hypergradient: how the gradient for `alpha` is estimated.
        selection: which architecture is kept in the end.
        weight_optimizer: updates the weights, and never sees `alpha`.
        alpha_optimizer: updates `alpha`, and never sees the weights.
        loss: `(logits, labels) -> scalar`, of both levels.
    """

    def init(key: PRNGKey, x: Array) -> SearchState:
        key_weights, key_alpha, key_steps = jax.random.split(key, 3)
        variables = space.init(key_weights, x)
        alpha, relaxation_state = relaxation.init(key_alpha, space.spec)
        return SearchState(
            params=variables.params,
            stats=variables.stats,
            alpha=alpha,
            weight_opt=weight_optimizer.init(variables.params),
            alpha_opt=alpha_optimizer.init(dict(alpha)),
            relaxation=relaxation_state,
            hypergradient=hypergradient.init(variables.params, alpha),
            key=key_steps,
            step=jnp.zeros((), jnp.int32),
        )

    def problem(state: SearchState) -> Bilevel:
        def objective(
            params: Params, alpha: Alpha, stats: Stats, batch: Batch, key: PRNGKey
        ) -> tuple[Array, Evaluation]:
            op_weights = relaxation.weights(key, alpha, state.relaxation)
            logits, stats = space.apply(Variables(params, stats), op_weights, batch.x, train=True)
            return loss(logits, batch.y), Evaluation(stats, logits)

        def update(grads: Params, opt: optax.OptState, params: Params) -> tuple[Params, optax.OptState]:
            updates, opt = weight_optimizer.update(grads, opt, params)
            return optax.apply_updates(params, updates), opt

        return Bilevel(inner=objective, outer=objective, update=update)

    def step(state: SearchState, batches: Batches) -> tuple[SearchState, SearchInfo]:
        key_alpha, key_weights = jax.random.split(jax.random.fold_in(state.key, state.step))
        bilevel = problem(state)

        lower = Lower(state.params, state.stats, state.weight_opt)
        outer, hypergradient_state = hypergradient.estimate(
            key_alpha, bilevel, lower, state.alpha, state.hypergradient, batches
        )
        alpha_updates, alpha_opt = alpha_optimizer.update(dict(outer.grads), state.alpha_opt, dict(state.alpha))
        updated = optax.apply_updates(dict(state.alpha), alpha_updates)
        alpha, relaxation_state = relaxation.advance(key_alpha, state.alpha, updated, state.relaxation)

        inner = jax.value_and_grad(bilevel.inner, has_aux=True)
        (train_loss, evaluation), grads = inner(state.params, alpha, outer.evaluation.stats, batches.train, key_weights)
        params, weight_opt = bilevel.update(grads, state.weight_opt, state.params)

        info = SearchInfo(
            train_loss=train_loss,
            train_accuracy=accuracy(evaluation.outputs, batches.train.y),
            valid_loss=outer.loss,
            valid_accuracy=accuracy(outer.evaluation.outputs, batches.valid.y),
        )
        return SearchState(
            params=params,
            stats=evaluation.stats,
            alpha=alpha,
            weight_opt=weight_opt,
            alpha_opt=alpha_opt,
            relaxation=relaxation_state,
            hypergradient=hypergradient_state,
            key=state.key,
            step=state.step + 1,
        ), info

    def weights(state: SearchState) -> Weights:
        return relaxation.expected(state.alpha, state.relaxation)

    def predict(state: SearchState, x: Array) -> Array:
        return space.apply(Variables(state.params, state.stats), weights(state), x, train=False)[0]

    def select(state: SearchState) -> Genotype:
        return selection(space, jax.device_get(weights(state)))

    return Search(space, init, step, weights, predict, select)
