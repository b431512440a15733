"""P-DARTS: progressive search in a supernet that grows deeper and offers less (Chen et al., arXiv:1904.12760)."""

import jax.numpy as jnp
import optax

from dnas.errors import UserError
from dnas.fewshot.masks import Masks, all_allowed
from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.skip_dropout import skip_dropout
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.skip_cap import skip_cap
from dnas.shrinking import shrunk, strongest
from dnas.stages import Stage, stages
from dnas.types import Array, Between, Course, PRNGKey, Search, SearchSpace, SearchState

PARTS = "softmax, first order, three stages of deeper supernets and fewer operations, dropout on skips, skip cap"
ADVICE = "Where the network to be trained is much deeper than a supernet that fits: the search comes near its depth."
STAGES = 3


def p_darts(
    space: SearchSpace,
    *,
    epochs: int = 75,
    steps_per_epoch: int,
    first_cells: int = 5,
    added_cells: int = 6,
    second_ops: int = 5,
    third_ops: int = 3,
    warm_up: float = 0.4,
    first_dropout: float = 0.1,
    added_dropout: float = 0.3,
    skip_limit: int = 2,
    weight_lr: float = 0.025,
    weight_lr_min: float = 0.0,
    momentum: float = 0.9,
    weight_decay: float = 3e-4,
    clip_norm: float = 5.0,
    nesterov: bool = False,
    alpha_lr: float = 6e-4,
    alpha_beta1: float = 0.5,
    alpha_beta2: float = 0.999,
    alpha_weight_decay: float = 1e-3,
    alpha_clip_norm: float = 5.0,
) -> Search:
    """Return the P-DARTS search: three searches one after another, each in a deeper supernet with fewer operations.

    A stage starts from new weights and new architecture parameters; all it takes over are the operations that weighed
    most on each edge of the stage before. The others are computed no more. Hyper-parameters are those of the authors'
    code (chenxin061/pdarts) and of the command that its README gives, whose learning rate belongs to minibatches of 96.
    Dropout on skip connections is coarser here than there (`dnas.relaxations.skip_dropout`). The limit of 2 is the
    paper's as recalled in arXiv:2009.01027; the code prints an architecture for each limit.

    Args:
        space: the space to search; its `rebuild` must take `cells`.
        epochs: length of the search, divided evenly among the stages, over each of which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        first_cells: the space's `cells` in the first stage (on NAS-Bench-201 these are the cells of each of its own
            stages).
        added_cells: cells that each further stage has more.
        second_ops: operations that an edge keeps for the second stage; all, where it has fewer.
        third_ops: operations that an edge keeps for the third.
        warm_up: share of each stage at its start in which only the weights are trained, 10 of 25 epochs as published.
        first_dropout: probability in the first epoch of the first stage that a skip connection is left out.
        added_dropout: what it is greater by in each further stage.
        skip_limit: greatest number of skip connections in the normal cell, or in any where none is called so.
        weight_lr: learning rate of the weights in the first epoch of a stage.
        weight_lr_min: where the cosine ends.
        momentum: of the weights' SGD.
        weight_decay: L2 coefficient of the weights.
        clip_norm: largest global norm of the weights' gradient; 0 does not clip.
        nesterov: whether the weights' momentum is Nesterov's.
        alpha_lr: learning rate of the architecture parameters' Adam.
        alpha_beta1: its first moment's decay.
        alpha_beta2: its second moment's decay.
        alpha_weight_decay: L2 coefficient of the architecture parameters.
        alpha_clip_norm: largest global norm of the architecture gradient; 0 does not clip.

    Raises:
        UserError: if the space cannot be rebuilt with so many cells, for fewer than 3 epochs, for a `warm_up` or a
            dropout outside of [0, 1), or if too few or ever more operations are to be kept.
    """
    _check_ops(space, second_ops, third_ops)
    _check_dropout(first_dropout, added_dropout)
    parts = stages(epochs, STAGES, warm_up)
    # All at once, so that a depth that the space does not take is refused before anything has been searched.
    spaces = [space.rebuild(cells=first_cells + added_cells * number) for number in range(STAGES)]
    adam = l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay)
    clip = optax.clip_by_global_norm(alpha_clip_norm) if alpha_clip_norm > 0 else optax.identity()

    def stage(number: int, masks: Masks) -> Search:
        own = parts[number]
        learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, own.epochs, steps_per_epoch)
        dropout = dropout_rate(first_dropout + added_dropout * number, own, steps_per_epoch)
        search = compose(
            shrunk(spaces[number], masks),
            relaxation=skip_dropout(softmax(), dropout),
            hypergradient=first_order(),
            selection=skip_cap(skip_limit),
            weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
            alpha_optimizer=optax.chain(clip, adam),
            warm_up=own.resting * steps_per_epoch,
        )

        def init(key: PRNGKey, x: Array) -> SearchState:
            return search.init(key, x)._replace(step=jnp.asarray(own.first * steps_per_epoch, jnp.int32))

        def then(state: SearchState, between: Between) -> Search:
            del between
            kept = strongest(search.space.spec, search.weights(state), (second_ops, third_ops)[number])
            return stage(number + 1, kept)

        further = then if number + 1 < STAGES else None
        return search._replace(init=init, course=Course(epochs=own.last, then=further))

    return stage(0, all_allowed(space.spec))


def dropout_rate(initial: float, stage: Stage, steps_per_epoch: int) -> optax.Schedule:
    """Return the rate of dropout over a stage, constant within an epoch, by steps from its beginning.

    Of E epochs, epoch e from 0 has `initial` * (E - e - 1) / E during a warm-up of W epochs; then the rate starts again
    from `initial` and falls as exp(-5 (e - W) / E), which for the published 25 epochs is the exp(-0.2 (e - W)) of the
    authors' code (chenxin061/pdarts, `train_search.py`).

    Args:
        initial: the stage's initial rate.
        stage: its epochs and their warm-up.
        steps_per_epoch: steps in an epoch.
    """

    def rate(step: optax.ScalarOrSchedule) -> Array:
        epoch = jnp.asarray(step) // steps_per_epoch
        resting = (stage.epochs - epoch - 1) / stage.epochs
        moving = jnp.exp(-5.0 * (epoch - stage.warm_up) / stage.epochs)
        return initial * jnp.where(epoch < stage.warm_up, resting, moving)

    return rate


def _check_ops(space: SearchSpace, second: int, third: int) -> None:
    """Refuse to keep so few operations that an edge might be left with nothing but `none` and a capped skip."""
    least = 3 if any(group.keep is not None for group in space.spec.values()) else 1
    if not second >= third >= least:
        raise UserError(
            f"second_ops and third_ops: expected numbers of operations that do not grow, at least {least} on this "
            f"space, got {second} and {third}"
        )


def _check_dropout(first: float, added: float) -> None:
    rates = [first + added * number for number in range(STAGES)]
    if not all(0 <= rate < 1 for rate in rates):
        raise UserError(
            f"first_dropout and added_dropout: expected rates of at least 0 and less than 1 in all stages, got "
            f"{', '.join(f'{rate:g}' for rate in rates)}"
        )
