"""Composing a search from its parts.

One step is the alternation of DARTS (arXiv:1806.09055, algorithm 1): a step of the architecture parameters on a
validation minibatch, then a step of the weights on a training minibatch. Options change the order, leave the
architecture parameters alone for some steps, let both levels learn from one minibatch, regularise the outer level and
perturb the inner one.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dnas.arguments import at_least_one
from dnas.errors import UserError
from dnas.parts import Change, Parts, Told, gathered
from dnas.tasks import scalar_loss
from dnas.types import (
    Array,
    Batch,
    Batches,
    Bilevel,
    Constraint,
    Freezing,
    Hypergradient,
    Lower,
    Mixture,
    Params,
    Perturbation,
    PRNGKey,
    Regulariser,
    Relaxation,
    Search,
    SearchInfo,
    SearchSpace,
    SearchState,
    Selection,
    Variables,
)


def compose(
    space: SearchSpace,
    relaxation: Relaxation,
    hypergradient: Hypergradient | None,
    selection: Selection,
    weight_optimizer: optax.GradientTransformation,
    alpha_optimizer: optax.GradientTransformation,
    loss: Callable[[Any, Any], Array] | None = None,
    *,
    warm_up: int = 0,
    alpha_every: int = 1,
    weights_first: bool = False,
    single_level: bool = False,
    regularisers: Sequence[Regulariser] = (),
    perturbation: Perturbation | None = None,
    constraint: Constraint | None = None,
    freezing: Freezing | None = None,
) -> Search:
    """Return the search made of these parts.

    Args:
        space: what may be chosen.
        relaxation: how `alpha` becomes operation weights.
        hypergradient: how the gradient for `alpha` is estimated; `None` searches on a single level: one pass over the
            training minibatch gives both gradients, and both steps are taken from where that pass was made.
        selection: which architecture is kept in the end.
        weight_optimizer: updates the weights, and never sees `alpha`.
        alpha_optimizer: updates `alpha`, and never sees the weights; its schedules count the steps of `alpha`.
        loss: `(outputs, targets) -> scalar`, of both levels; `None`: that of the space's task, by default the cross
            entropy.
        warm_up: steps at the beginning in which `alpha` rests. Resting costs nothing, except under `vmap`, which
            computes what it does not use.
        alpha_every: `alpha` moves in every so many-th step only.
        weights_first: whether a step moves the weights first and `alpha` at the new weights, as the code of GDAS does.
        single_level: whether `alpha` learns from the training minibatch too, in alternation with the weights.
        regularisers: added to the outer loss. Reported losses are without them.
        perturbation: changes what the supernet mixes in the step of the weights; a hypergradient sees the unperturbed
            levels, as in the code of SmoothDARTS.
        constraint: applied to `alpha` after each of its steps, and after those in which it rests; `init` traces it too,
            so that one that cannot be satisfied is refused at once.
        freezing: which weights rest, seen from the hypergradient's state; their gradients do not reach the weights'
            optimiser, and what it would do to them all the same (decay, momentum) is left out.

    Raises:
        UserError: if `warm_up` is negative or `alpha_every` is less than 1.
    """
    at_least_one(alpha_every=alpha_every)
    if warm_up < 0:
        raise UserError(f"warm_up is {warm_up}, but it counts steps: choose 0 or more")
    parts = gathered(space, relaxation, selection, weight_optimizer, alpha_optimizer, loss, regularisers)
    plan = _Plan(
        parts, hypergradient, warm_up, alpha_every, weights_first, single_level, perturbation, constraint, freezing
    )

    def init(key: PRNGKey, x: Array) -> SearchState:
        return _init(plan, key, x)

    def step(state: SearchState, batches: Batches) -> tuple[SearchState, SearchInfo]:
        return _step(plan, state, batches)

    search = parts.search(init, step)
    return search._replace(second_order=hypergradient is not None and hypergradient.second_order)


class _Plan(NamedTuple):
    """A search's parts, and how its step uses them: the arguments of `compose`."""

    parts: Parts
    hypergradient: Hypergradient | None
    warm_up: int
    alpha_every: int
    weights_first: bool
    single_level: bool
    perturbation: Perturbation | None
    constraint: Constraint | None
    freezing: Freezing | None

    @property
    def rests(self) -> bool:
        """Whether there are steps in which `alpha` rests."""
        return self.warm_up > 0 or self.alpha_every > 1

    def moves(self, step: Array) -> Array:
        """Return whether `alpha` moves in this step."""
        return (step >= self.warm_up) & ((step + 1) % self.alpha_every == 0)


class _Keys(NamedTuple):
    """A step's random keys."""

    alpha: PRNGKey
    weights: PRNGKey
    perturbation: PRNGKey


def _init(plan: _Plan, key: PRNGKey, x: Array) -> SearchState:
    state = plan.parts.begin(key, x)
    if plan.constraint is not None:
        jax.eval_shape(partial(plan.constraint, shape=x.shape[1:]), state.alpha, state.step)
    if plan.hypergradient is None:
        return state
    return state._replace(hypergradient=plan.hypergradient.init(state.params, state.alpha))


def _step(plan: _Plan, state: SearchState, batches: Batches) -> tuple[SearchState, SearchInfo]:
    key = jax.random.fold_in(state.key, state.step)
    key_alpha, key_weights = jax.random.split(key)
    keys = _Keys(key_alpha, key_weights, jax.random.fold_in(key, 2))
    # Both levels mix with the relaxation as it stands before the step.
    relaxed = state.relaxation
    if plan.hypergradient is None:
        after, train = _joint_turn(plan, state, batches.train, keys)
        valid = train
    elif plan.weights_first:
        after, train = _weight_turn(plan, state, relaxed, batches.train, keys)
        after, valid = _alpha_turn(plan, plan.hypergradient, after, batches, keys)
    else:
        after, valid = _alpha_turn(plan, plan.hypergradient, state, batches, keys)
        after, train = _weight_turn(plan, after, relaxed, batches.train, keys)
    if plan.rests:
        valid = jax.tree.map(partial(jnp.where, plan.moves(state.step)), valid, train)
    return after._replace(step=state.step + 1), SearchInfo(train.loss, train.accuracy, valid.loss, valid.accuracy)


def _alpha_turn(
    plan: _Plan, hypergradient: Hypergradient, state: SearchState, batches: Batches, keys: _Keys
) -> tuple[SearchState, Told]:
    parts = plan.parts
    if plan.single_level:
        batches = Batches(batches.train, batches.train)

    def move() -> tuple[dict[str, Any], Told]:
        objective = parts.objective(state.relaxation)
        bilevel = Bilevel(objective, objective, parts.update)
        lower = Lower(state.params, state.stats, state.weight_opt)
        outer, memory = hypergradient.estimate(keys.alpha, bilevel, lower, state.alpha, state.hypergradient, batches)
        moved = parts.update_alpha(outer.grads, outer.loss, state)
        after = {**moved, "hypergradient": memory, "stats": outer.evaluation.stats}
        return after, parts.told(outer.loss, outer.evaluation, batches.valid)

    after, outer = _unless_resting(plan, state, ("alpha", "alpha_opt", "charge", "hypergradient", "stats"), move)
    return _advance(plan, keys.alpha, state, after, batches.train), outer


def _weight_turn(plan: _Plan, state: SearchState, relaxed: Any, batch: Batch, keys: _Keys) -> tuple[SearchState, Told]:
    objective = plan.parts.objective(relaxed, _change(plan, state.step, keys.perturbation))
    inner = jax.value_and_grad(objective, has_aux=True)
    (loss, evaluation), grads = inner(state.params, state.alpha, state.stats, batch, keys.weights)
    after = _move_weights(plan, state, grads)
    return after._replace(stats=evaluation.stats), plan.parts.told(loss, evaluation, batch)


def _joint_turn(plan: _Plan, state: SearchState, batch: Batch, keys: _Keys) -> tuple[SearchState, Told]:
    parts = plan.parts
    objective = parts.objective(state.relaxation, _change(plan, state.step, keys.perturbation))
    both = jax.value_and_grad(objective, argnums=(0, 1), has_aux=True)
    (loss, evaluation), (grads, alpha_grads) = both(state.params, state.alpha, state.stats, batch, keys.weights)
    train = parts.told(loss, evaluation, batch)

    after, _ = _unless_resting(
        plan, state, ("alpha", "alpha_opt", "charge"), lambda: (parts.update_alpha(alpha_grads, loss, state), train)
    )
    after = _move_weights(plan, after, grads)._replace(stats=evaluation.stats)
    return _advance(plan, keys.weights, state, after, batch), train


def _move_weights(plan: _Plan, state: SearchState, grads: Params) -> SearchState:
    """Take one step of the weights."""
    resting = None if plan.freezing is None else partial(plan.freezing, state.hypergradient)
    params, weight_opt = plan.parts.update(grads, state.weight_opt, state.params, resting)
    return state._replace(params=params, weight_opt=weight_opt)


def _unless_resting(
    plan: _Plan, state: SearchState, fields: Sequence[str], move: Callable[[], tuple[dict[str, Any], Told]]
) -> tuple[SearchState, Told]:
    """Return the state with those fields as `move` returns them, or as they are in a step in which `alpha` rests."""
    if plan.rests:
        nothing = Told(jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32))
        still = {name: getattr(state, name) for name in fields}
        moved, seen = lax.cond(plan.moves(state.step), move, lambda: (still, nothing))
    else:
        moved, seen = move()
    return state._replace(**moved), seen


def _advance(plan: _Plan, key: PRNGKey, before: SearchState, after: SearchState, batch: Batch) -> SearchState:
    after = plan.parts.advance(key, before, after, plan.moves(before.step) if plan.rests else None)
    if plan.constraint is None:
        return after
    return after._replace(alpha=plan.constraint(after.alpha, before.step, _example(batch.x)))


def _example(x: Any) -> Any:
    """Return the shape of one input, or the shapes of one where inputs are a pytree."""
    return jax.tree.map(lambda leaf: leaf.shape[1:], x)


def _change(plan: _Plan, step: Array, key: PRNGKey) -> Change | None:
    """Return how the inner level's mixture is perturbed: the value changes, the derivative stays the identity."""
    perturbation = plan.perturbation
    if perturbation is None:
        return None

    def change(mixture: Mixture, variables: Variables, batch: Batch) -> Mixture:
        fixed = lax.stop_gradient(variables)

        def loss(mixture: Mixture) -> Array:
            outputs, _ = plan.parts.space.apply(fixed, mixture, batch.x, train=False)
            return scalar_loss(plan.parts.task, outputs, batch)

        still = lax.stop_gradient(mixture)
        moved = lax.stop_gradient(perturbation(key, still, loss, step))
        return jax.tree.map(lambda new, old, same: new + (old - same), moved, mixture, still)

    return change
