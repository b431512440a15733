"""DARTS-PT: perturbation-based selection after a DARTS search (Wang et al., arXiv:2108.04392).

What an operation is worth is how much the supernet loses without it. After the search, edge after edge is decided by
that, and the supernet fine-tuned in between.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dnas.arguments import at_least_one
from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.projected import decide, decisions, projected
from dnas.search import compose
from dnas.selection.perturbation import SIGNS, check_criterion, project, schedule
from dnas.selection.top_edges import top_edges
from dnas.types import Array, Between, Course, Search, SearchSpace, SearchState, Weights

PARTS = "softmax, first order, perturbation-based selection with fine-tuning"
ADVICE = "Where alpha is not to be trusted: it costs some epochs of fine-tuning more and decides by accuracy instead."


def darts_pt(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    interval: int = 5,
    criterion: str = "accuracy",
    fixed_alpha: bool = False,
    order: int = 0,
    weight_lr: float = 0.025,
    weight_lr_min: float = 0.001,
    tuning_lr: float = 0.0025,
    momentum: float = 0.9,
    weight_decay: float = 3e-4,
    clip_norm: float = 5.0,
    nesterov: bool = False,
    alpha_lr: float = 3e-4,
    alpha_beta1: float = 0.5,
    alpha_beta2: float = 0.999,
    alpha_weight_decay: float = 1e-3,
) -> Search:
    """Return first-order DARTS followed by perturbation-based selection, with the published hyper-parameters.

    Those of the authors' code (ruocwang/darts-pt): on the DARTS space 81 epochs of fine-tuning follow, on
    NAS-Bench-201 25, where that code keeps `tuning_lr` constant and not, as here, on a cosine to `weight_lr_min`. The
    whole validation part is evaluated once for each operation of an edge, and once for each edge of a contested node.

    Args:
        space: the space to search.
        epochs: length of the search before the selection, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        interval: epochs of fine-tuning from one decision to the next.
        criterion: what shows the loss of an operation, `accuracy` or `loss`.
        fixed_alpha: whether alpha is never trained, the paper's variant without any architecture gradient.
        order: seed of the order in which edges are decided.
        weight_lr: learning rate of the weights in the first epoch.
        weight_lr_min: where both its cosines end.
        tuning_lr: learning rate of the weights in the first epoch of fine-tuning.
        momentum: of the weights' SGD; it starts again with the fine-tuning.
        weight_decay: L2 coefficient of the weights.
        clip_norm: largest global norm of the weights' gradient; 0 does not clip.
        nesterov: whether the weights' momentum is Nesterov's.
        alpha_lr: learning rate of the architecture parameters' Adam.
        alpha_beta1: its first moment's decay.
        alpha_beta2: its second moment's decay.
        alpha_weight_decay: L2 coefficient of the architecture parameters.

    Raises:
        UserError: for an unknown `criterion`, or an `interval` or `epochs` less than 1.
    """
    at_least_one(epochs=epochs)
    check_criterion(criterion)
    rounds, tuning = schedule(space.spec, interval=interval, seed=order)
    whole = epochs + tuning
    searching = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    fine = cosine_by_epoch(tuning_lr, weight_lr_min, tuning, steps_per_epoch)
    learning_rate = optax.join_schedules((searching, fine), [epochs * steps_per_epoch])
    search = compose(
        space,
        relaxation=projected(),
        hypergradient=first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        warm_up=whole * steps_per_epoch if fixed_alpha else 0,
    )

    def turn(state: SearchState, between: Between) -> SearchState:
        now = int(state.step) // steps_per_epoch - epochs
        if now == 0:
            state = state._replace(weight_opt=_without_momentum(state.weight_opt))

        def scores(candidates: Weights) -> Array:
            return jnp.asarray(between.scores(state, candidates)[list(SIGNS).index(criterion)])

        made = jax.tree.map(np.asarray, decisions(state.relaxation))
        for decided in rounds:
            if decided.epoch == now:
                made = project(space.spec, made, decided, search.weights(state), scores, criterion)
        return state._replace(relaxation=decide(state.relaxation, made))

    return search._replace(course=Course(epochs=whole, turn=turn))


def _without_momentum(state: optax.OptState) -> optax.OptState:
    momentum = optax.tree_utils.tree_get(state, "trace")
    return optax.tree_utils.tree_set(state, trace=jax.tree.map(jnp.zeros_like, momentum))
