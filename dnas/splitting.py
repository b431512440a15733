"""A search with two copies of the weights: RARTS (Xue, Qi and Xin, arXiv:2008.03901).

One copy, w, learns from training minibatches, the other, y, from validation minibatches, and a spring between them
takes the place of the lower level. That leaves a single level,

    L(w, y, alpha) = L_valid(y, alpha) + balance * L_train(w, alpha) + coupling / 2 * |y - w|^2,

and no second derivatives. Only the abstract could be read; the objective and the order of the updates are recalled, and
the fixed points that the tests hold them to are derived from these.
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dnas.errors import UserError
from dnas.parts import Parts, Told, gathered
from dnas.types import (
    Alpha,
    Array,
    Batch,
    Batches,
    Evaluation,
    Lower,
    Objective,
    PRNGKey,
    Regulariser,
    Relaxation,
    Search,
    SearchInfo,
    SearchSpace,
    SearchState,
    Selection,
)


def split_search(
    space: SearchSpace,
    relaxation: Relaxation,
    selection: Selection,
    weight_optimizer: optax.GradientTransformation,
    alpha_optimizer: optax.GradientTransformation,
    loss: Callable[[Any, Any], Array] | None = None,
    *,
    balance: float = 10.0,
    coupling: float = 10.0,
    regularisers: Sequence[Regulariser] = (),
) -> Search:
    """Return the search that splits the weights in two.

    A step moves, each from where the one before leaves things:

    1. w against balance * grad_w L_train(w, alpha) + coupling * (w - y);
    2. y against grad_y L_valid(y, alpha) + coupling * (y - w);
    3. alpha against balance * grad_alpha L_train(w, alpha) + grad_alpha L_valid(y, alpha).

    w is a search state's `params` with `stats` and `weight_opt`; y is its `hypergradient`, as a `Lower`. Both start
    from the same weights. The two minibatches of a step must have the same shape. Reported losses are without
    `balance`, without the spring and without regularisers, each before its copy moves.

    Args:
        space: what may be chosen.
        relaxation: how `alpha` becomes operation weights.
        selection: which architecture is kept in the end.
        weight_optimizer: updates either copy, each with a state of its own.
        alpha_optimizer: updates `alpha`.
        loss: `(outputs, targets) -> scalar`, of both copies; `None`: that of the space's task.
        balance: lambda, the weight of the training loss; 10 is the value of the paper's solvable model, as recalled.
        coupling: beta, the spring's constant; likewise. Times the learning rate it should be well below 1.
        regularisers: added to the objective.

    Raises:
        UserError: if `balance` is not positive or `coupling` is negative; and in a step, if its minibatches differ in
            shape.
    """
    if not balance > 0:
        raise UserError(f"balance is {balance}: choose a value greater than 0")
    if not coupling >= 0:
        raise UserError(f"coupling is {coupling}: choose 0 or a greater value")
    parts = gathered(space, relaxation, selection, weight_optimizer, alpha_optimizer, loss, regularisers)
    plan = _Plan(parts, balance, coupling)

    def init(key: PRNGKey, x: Array) -> SearchState:
        return _init(plan, key, x)

    def step(state: SearchState, batches: Batches) -> tuple[SearchState, SearchInfo]:
        return _step(plan, state, batches)

    return parts.search(init, step)


class _Plan(NamedTuple):
    """A search's parts and its two constants."""

    parts: Parts
    balance: float
    coupling: float


class _Turn(NamedTuple):
    """What one copy of the weights is given in a step: its minibatch, its loss's weight, and random keys."""

    batch: Batch
    share: Array
    key: PRNGKey
    key_alpha: PRNGKey


def _init(plan: _Plan, key: PRNGKey, x: Array) -> SearchState:
    state = plan.parts.begin(key, x)
    # Arrays of its own, so that a program may overwrite either copy.
    other = jax.tree.map(jnp.copy, Lower(state.params, state.stats, state.weight_opt))
    return state._replace(hypergradient=other)


def _step(plan: _Plan, state: SearchState, batches: Batches) -> tuple[SearchState, SearchInfo]:
    parts = plan.parts
    turns, key_alpha = _turns(plan, state, batches)
    objective = parts.objective(state.relaxation)
    (w, y), seen = _move_weights(plan, objective, state, turns)
    grads, loss, stats = _alpha_gradient(objective, state.alpha, w, y, turns)
    after = parts.advance(key_alpha, state, state._replace(**parts.update_alpha(grads, loss, state)))
    after = after._replace(
        params=w.params,
        stats=jax.tree.map(lambda leaf: leaf[0], stats),
        weight_opt=w.opt,
        hypergradient=y._replace(stats=jax.tree.map(lambda leaf: leaf[1], stats)),
        step=state.step + 1,
    )
    return after, SearchInfo(seen.loss[0], seen.accuracy[0], seen.loss[1], seen.accuracy[1])


def _turns(plan: _Plan, state: SearchState, batches: Batches) -> tuple[_Turn, PRNGKey]:
    """Return what w and y are given, stacked in this order, and the key of the update of `alpha`."""
    shapes = [[leaf.shape for leaf in jax.tree.leaves(batch)] for batch in batches]
    if shapes[0] != shapes[1]:
        one, other = next(pair for pair in zip_longest(*shapes) if pair[0] != pair[1])
        raise UserError(
            f"a split search got a training minibatch of {one} and a validation minibatch of {other}: "
            f"give both the same shape"
        )
    key_alpha, key_weights = jax.random.split(jax.random.fold_in(state.key, state.step))
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches)
    # One draw of operation weights for the update of alpha, which a relaxation may come back to when it advances.
    both_alpha = jnp.stack([key_alpha, key_alpha])
    return _Turn(batch, jnp.array([plan.balance, 1.0]), jax.random.split(key_weights), both_alpha), key_alpha


def _move_weights(
    plan: _Plan, objective: Objective, state: SearchState, turns: _Turn
) -> tuple[tuple[Lower, Lower], Told]:
    """Move w, then y."""

    # A loop in which the copies change places, so that the program holds the pass through the supernet once.
    def move(copies: tuple[Lower, Lower], turn: _Turn) -> tuple[tuple[Lower, Lower], Told]:
        own, other = copies
        (loss, evaluation), grads = jax.value_and_grad(objective, has_aux=True)(
            own.params, state.alpha, own.stats, turn.batch, turn.key
        )

        def pulled(grad: Array, here: Array, there: Array) -> Array:
            return turn.share.astype(grad.dtype) * grad + plan.coupling * (here - there)

        grads = jax.tree.map(pulled, grads, own.params, other.params)
        params, opt = plan.parts.update(grads, own.opt, own.params)
        return (other, Lower(params, evaluation.stats, opt)), plan.parts.told(loss, evaluation, turn.batch)

    w = Lower(state.params, state.stats, state.weight_opt)
    return lax.scan(move, (w, state.hypergradient), turns)


def _alpha_gradient(objective: Objective, alpha: Alpha, w: Lower, y: Lower, turns: _Turn) -> tuple[Alpha, Array, Any]:
    """Return the gradient of both losses for `alpha`, their sum, and the statistics of both copies then, stacked."""

    def one(given: tuple[Lower, _Turn]) -> tuple[Alpha, Array, Any]:
        copy, turn = given

        def shared(alpha: Alpha) -> tuple[Array, Evaluation]:
            loss, evaluation = objective(copy.params, alpha, copy.stats, turn.batch, turn.key_alpha)
            return turn.share.astype(loss.dtype) * loss, evaluation

        (loss, evaluation), grads = jax.value_and_grad(shared, has_aux=True)(alpha)
        return grads, loss, evaluation.stats

    copies = jax.tree.map(lambda *leaves: jnp.stack(leaves), w._replace(opt=()), y._replace(opt=()))
    grads, losses, stats = lax.map(one, (copies, turns))
    return jax.tree.map(lambda leaf: leaf.sum(axis=0), dict(grads)), losses.sum(), stats
