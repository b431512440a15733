"""DARTS+: DARTS that ends before it collapses, by a simple sign (Liang et al., arXiv:1909.06035).

Only the paper's abstract was at hand: the two criteria are recalled, as `dnas.stopping.early` says.
"""

import jax.numpy as jnp

from dnas.arguments import at_least_one
from dnas.errors import UserError, unknown
from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.stopping.early import ranking_stable, too_many_skips
from dnas.types import Array, Between, Course, PRNGKey, Search, SearchSpace, SearchState

PARTS = "softmax, first order, top edges, early stopping by skip connections or by ranking"
ADVICE = "The cheapest guard against collapse: it costs nothing, and it ends most searches sooner than darts."
CRITERIA = ("skips", "ranking")


def darts_plus(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    criterion: str = "skips",
    limit: int = 2,
    group: str = "",
    stable: int = 10,
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
    """Return first-order DARTS with early stopping by its architecture, with the published hyper-parameters.

    At the end of each epoch a criterion is asked, and the search ends with the architecture that it then selects: by
    `skips`, which carries `limit` skip connections or more; by `ranking`, in which no edge has changed the order of its
    operations with trained weights for `stable` epochs.

    Args:
        space: the space to search.
        epochs: greatest length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        criterion: what ends the search, `skips` or `ranking`.
        limit: skip connections in one cell that end it.
        group: the cell whose skip connections count; empty for the space's first, `normal` on the DARTS space.
        stable: epochs for which the ranking must have stood.
        weight_lr: learning rate of the weights in the first epoch.
        weight_lr_min: where the cosine ends.
        momentum: of the weights' SGD.
        weight_decay: L2 coefficient of the weights.
        clip_norm: largest global norm of the weights' gradient; 0 does not clip.
        nesterov: whether the weights' momentum is Nesterov's.
        alpha_lr: learning rate of the architecture parameters' Adam.
        alpha_beta1: its first moment's decay.
        alpha_beta2: its second moment's decay.
        alpha_weight_decay: L2 coefficient of the architecture parameters.

    Raises:
        UserError: for an unknown `criterion` or `group`, or counts less than 1.
    """
    at_least_one(epochs=epochs, limit=limit, stable=stable)
    if criterion not in CRITERIA:
        raise unknown("criterion", criterion, CRITERIA)
    if group and group not in space.spec:
        raise UserError(f"search.group: expected a cell of the space, {', '.join(space.spec)}, got {group!r}")
    search = compose(
        space,
        relaxation=softmax(),
        hypergradient=first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(
            cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch),
            momentum,
            weight_decay,
            clip_norm,
            nesterov,
        ),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
    )
    if criterion == "ranking":
        return _until_stable(search, epochs, steps_per_epoch, stable)
    cell = group or next(iter(space.spec))
    course = Course(epochs=epochs, done=lambda state: too_many_skips(search.select(state), limit, cell))
    return search._replace(course=course)


def _until_stable(search: Search, epochs: int, steps_per_epoch: int, stable: int) -> Search:
    """Return the search that ends once the ranking stands; its memory holds the weights of the newest epochs."""

    def init(key: PRNGKey, x: Array) -> SearchState:
        state = search.init(key, x)
        rows = search.weights(state)
        return state._replace(memory={name: jnp.zeros((stable + 1, *now.shape)) for name, now in rows.items()})

    def turn(state: SearchState, between: Between) -> SearchState:
        del between
        now = search.weights(state)
        memory = {name: jnp.concatenate([rows[1:], now[name][None]]) for name, rows in state.memory.items()}
        return state._replace(memory=memory)

    def done(state: SearchState) -> bool:
        count = min(int(state.step) // steps_per_epoch, stable + 1)
        newest = range(stable + 1 - count, stable + 1)
        return ranking_stable(
            search.space.spec, [{name: rows[index] for name, rows in state.memory.items()} for index in newest], stable
        )

    return search._replace(init=init, course=Course(epochs=epochs, turn=turn, done=done))
