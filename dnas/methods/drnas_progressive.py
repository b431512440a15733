"""The progressive scheme of DrNAS: wider operations, and fewer of them (Chen et al., arXiv:2006.10355)."""

import jax
import jax.numpy as jnp

from dnas.errors import UserError
from dnas.methods.drnas import drnas
from dnas.nn.widening import widened
from dnas.shrinking import shrunk, strongest
from dnas.stages import Stage, stages
from dnas.types import Array, Between, Course, PRNGKey, Search, SearchSpace, SearchState

PARTS = "drnas in two stages: partial channels that widen, fewer operations, warm-up in each"
ADVICE = "Where memory limits drnas: it comes nearer the real width of a large supernet at little more cost."


def drnas_progressive(
    space: SearchSpace,
    *,
    epochs: int = 100,
    steps_per_epoch: int,
    first_partial_channels: int = 4,
    second_partial_channels: int = 2,
    second_ops: int = 3,
    warm_up: float = 0.2,
    kl: float = 0.0,
    weight_lr: float = 0.025,
    weight_lr_min: float = 0.001,
    momentum: float = 0.9,
    weight_decay: float = 3e-4,
    clip_norm: float = 5.0,
    nesterov: bool = False,
    alpha_lr: float = 3e-4,
    alpha_beta1: float = 0.5,
    alpha_beta2: float = 0.999,
    alpha_weight_decay: float = 1e-3,
) -> Search:
    """Return DrNAS in two stages, of which the second goes on with wider operations and the best of them.

    Between the stages each edge keeps the operations of the greatest expected weight; the others are computed no more.
    Those kept get more of the channels: weights, batch statistics and momentum of the new ones are copies of old ones
    drawn at random. Architecture parameters, both optimisers and the learning rate go on as they were; the parameters
    of dropped operations are set to 0.

    Hyper-parameters are those of the authors' code for NAS-Bench-201 (xiangning-chen/DrNAS,
    `201-space/train_search_progressive.py`). For the DARTS space it has (`DARTS-space/train_search.py`) 50 epochs with
    a warm-up of 0.4, one 6th then one 4th of 36 channels, 4 of 7 operations in the second stage (there is no `none`), a
    `weight_lr` of 0.1 falling to 0, `alpha_lr` 6e-4, 20 cells and minibatches of 64.

    Args:
        space: the space to search; its `rebuild` must take `partial_channels`.
        epochs: length of the search, divided evenly among the stages; the learning rate falls over both.
        steps_per_epoch: steps in an epoch.
        first_partial_channels: K of PC-DARTS in the first stage: one K-th of the channels goes through the operations.
        second_partial_channels: K in the second, no more than in the first.
        second_ops: operations that an edge keeps for the second stage; all, where it has fewer.
        warm_up: share of each stage at its start in which only the weights are trained, 10 of 50 epochs as published.
        kl: weight of the distributions' divergence from the uniform Dirichlet, as in `drnas`.
        weight_lr: learning rate of the weights in the first epoch.
        weight_lr_min: where the cosine ends.
        momentum: of the weights' SGD.
        weight_decay: L2 coefficient of the weights.
        clip_norm: largest global norm of the weights' gradient; 0 does not clip.
        nesterov: whether the weights' momentum is Nesterov's.
        alpha_lr: learning rate of the architecture parameters' Adam.
        alpha_beta1: its first moment's decay.
        alpha_beta2: its second moment's decay.
        alpha_weight_decay: L2 coefficient of the architecture parameters, which draws the distributions to the uniform
            one.

    Raises:
        UserError: if the space's channels cannot be divided by both numbers of partial channels or the second is
            greater, for fewer than 2 epochs or 2 kept operations, a negative `kl`, or a `warm_up` outside of [0, 1).
    """
    if not 1 <= second_partial_channels <= first_partial_channels:
        raise UserError(
            f"second_partial_channels: expected from 1 to first_partial_channels={first_partial_channels}, since "
            f"operations only widen, got {second_partial_channels}"
        )
    if second_ops < 2:
        raise UserError(f"second_ops: expected at least 2 operations to choose from, got {second_ops}")
    # Refused now, not after the first stage.
    space.rebuild(partial_channels=second_partial_channels)
    first, second = stages(epochs, 2, warm_up)

    def stage(space: SearchSpace, partial_channels: int, own: Stage) -> Search:
        return drnas(
            space,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            partial_channels=partial_channels,
            # Counted from the beginning of the search, as its steps are.
            warm_up=own.resting / epochs,
            kl=kl,
            weight_lr=weight_lr,
            weight_lr_min=weight_lr_min,
            momentum=momentum,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            nesterov=nesterov,
            alpha_lr=alpha_lr,
            alpha_beta1=alpha_beta1,
            alpha_beta2=alpha_beta2,
            alpha_weight_decay=alpha_weight_decay,
        )

    search = stage(space, first_partial_channels, first)

    def then(state: SearchState, between: Between) -> Search:
        del between
        masks = strongest(search.space.spec, search.weights(state), second_ops)
        further = stage(shrunk(space, masks), second_partial_channels, second)

        def init(key: PRNGKey, x: Array) -> SearchState:
            return _grown(state, further.init(key, x), further.space, key)

        return further._replace(init=init, course=Course(epochs=second.last))

    return search._replace(course=Course(epochs=first.last, then=then))


def _grown(state: SearchState, fresh: SearchState, space: SearchSpace, key: PRNGKey) -> SearchState:
    """Return the state that goes on from `state`, with the shapes of a `fresh` one of the wider space."""
    names = {op for group in space.spec.values() for op in group.ops}
    trained, grown = ((own.params, own.stats, own.weight_opt) for own in (state, fresh))
    params, stats, weight_opt = widened(jax.random.fold_in(key, 1), trained, grown, names)
    alpha = {
        name: jnp.where(jnp.array(space.spec[name].allowed), rows, 0.0) if space.spec[name].allowed else rows
        for name, rows in state.alpha.items()
    }
    return fresh._replace(
        params=params,
        stats=stats,
        weight_opt=weight_opt,
        alpha=alpha,
        alpha_opt=state.alpha_opt,
        charge=state.charge,
        step=state.step,
    )
