"""R-DARTS: stop where the curvature rises, or go back there and regularise more (Zela et al., arXiv:1909.09656).

Architectures generalise badly where the largest eigenvalue of the validation loss's Hessian with respect to alpha has
grown. DARTS-ES keeps the architecture from before the rise; DARTS-ADA takes the search up again from there with more
weight decay. Rules and values are those of the reference code (automl/RobustDARTS); `dnas.stopping` has them.
"""

from collections.abc import Callable
from typing import Any

import jax

from dnas.arguments import at_least_one
from dnas.genotype import Genotype
from dnas.hypergradients.first_order import first_order
from dnas.hypergradients.unrolled import unrolled
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.parts import keep
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.stopping.adaptive import Rollback, adaptive_weight_decay
from dnas.stopping.early import curvature_rise
from dnas.stopping.measured import Measuring
from dnas.types import Array, Between, Course, PRNGKey, Search, SearchSpace, SearchState

PARTS = "softmax, first order or unrolled, top edges, early stopping by curvature or adaptive weight decay"
ADVICE = "Where darts collapses after many epochs: it ends before that, or starts again from there with more decay."


def r_darts(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    adaptive: bool = False,
    second_order: bool = False,
    every: int = 2,
    window: int = 5,
    lag: int = 4,
    ratio: float = 1.3,
    earliest: int = 10,
    factor: float = 10.0,
    cap: float = 0.03,
    products: int = 20,
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
    """Return DARTS with early stopping by curvature (DARTS-ES), or with adaptive weight decay (DARTS-ADA).

    The eigenvalue is measured on one validation minibatch at the end of every so many epochs, the first one included,
    and recorded with the epoch as `eigenvalue`. A search that is stopped selects the architecture of the earlier epoch
    that the rule names; its weights are still those of the last epoch. R-DARTS (L2) is this method at several values of
    `weight_decay`, of which the best is kept. The authors' runs are of second order.

    With `adaptive` the whole state of that epoch is taken up again with `factor` times the weight decay, as often as
    the rule asks, until `cap` is reached; the epochs gone back over vanish from the record. The state then holds
    `lag + window // 2 + 1` copies of weights and optimisers. The reference code keeps those of all epochs: here a
    search does not go back behind the epoch that it went back to before.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        adaptive: whether to go back and on with more weight decay instead of stopping.
        second_order: whether the gradient for alpha is that of the loss one step of the weights ahead.
        every: epochs from one measurement to the next.
        window: measurements in a local average, an odd number.
        lag: measurements between the two averages that are compared.
        ratio: greatest quotient of the two that is taken for noise.
        earliest: epochs before this one, counted from 0, are never returned to.
        factor: what the weight decay is multiplied by, more than 1.
        cap: its greatest value.
        products: Hessian-vector products of Lanczos' method in one measurement.
        weight_lr: learning rate of the weights in the first epoch.
        weight_lr_min: where the cosine ends.
        momentum: of the weights' SGD.
        weight_decay: L2 coefficient of the weights, at first.
        clip_norm: largest global norm of the weights' gradient; 0 does not clip.
        nesterov: whether the weights' momentum is Nesterov's.
        alpha_lr: learning rate of the architecture parameters' Adam.
        alpha_beta1: its first moment's decay.
        alpha_beta2: its second moment's decay.
        alpha_weight_decay: L2 coefficient of the architecture parameters; it is added to the eigenvalue.

    Raises:
        UserError: for an even `window`, counts less than 1, or a `weight_decay` or `factor` that cannot grow.
    """
    at_least_one(epochs=epochs, products=products)
    rule: dict[str, Any] = {"every": every, "window": window, "lag": lag, "ratio": ratio}
    curvature_rise((), **rule)
    kept = lag + window // 2 + 1 if adaptive else 0
    measuring = Measuring(every, epochs, steps_per_epoch, kept, products, alpha_weight_decay)

    def darts(decay: float) -> Search:
        return compose(
            space,
            relaxation=softmax(),
            hypergradient=unrolled() if second_order else first_order(),
            selection=top_edges,
            weight_optimizer=clipped_sgd(
                cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch),
                momentum,
                decay,
                clip_norm,
                nesterov,
            ),
            alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        )

    watched = _watched(darts(weight_decay), measuring)
    if not adaptive:
        return _stopping(watched, measuring, {**rule, "earliest": earliest})

    def back(state: SearchState, decay: float, earliest: int) -> Rollback | None:
        history = measuring.history(state)
        return adaptive_weight_decay(history, decay, factor=factor, cap=cap, earliest=earliest, **rule)

    def stage(decay: float, earliest: int, init: Callable[[PRNGKey, Array], SearchState]) -> Search:
        def then(state: SearchState, between: Between) -> Search | None:
            del between
            found = back(state, decay, earliest)
            if found is None:
                return None
            again = measuring.recall(state, found.epoch // every)
            return stage(found.weight_decay, max(earliest, found.epoch), lambda key, x: again)

        course = watched.course._replace(
            done=lambda state: back(state, decay, earliest) is not None,
            then=then,
            note=lambda state: {**_noted(state, measuring), "weight_decay": decay},
        )
        return watched._replace(step=darts(decay).step, init=init, course=course)

    adaptive_weight_decay((), weight_decay, factor=factor, cap=cap, **rule)
    return stage(weight_decay, earliest, watched.init)


def _watched(search: Search, measuring: Measuring) -> Search:
    """Return the search with its curvature measured and noted."""
    program = measuring.program(search)

    def init(key: PRNGKey, x: Array) -> SearchState:
        return measuring.begin(search, search.init(key, x))

    def turn(state: SearchState, between: Between) -> SearchState:
        if not measuring.due(state):
            return state
        index = measuring.count(state) - 1
        return program(state, between.batches(index).valid, index)

    course = Course(epochs=measuring.epochs, turn=turn, note=lambda state: _noted(state, measuring))
    return search._replace(init=init, course=course)


def _noted(state: SearchState, measuring: Measuring) -> dict[str, Any]:
    return {"eigenvalue": measuring.history(state)[-1]} if measuring.due(state) else {}


def _stopping(search: Search, measuring: Measuring, rule: dict[str, Any]) -> Search:
    """Return the search that ends once its curvature has risen, and then selects what stood before the rise."""

    def stop(state: SearchState) -> int | None:
        return curvature_rise(measuring.history(state), **rule)

    def select(state: SearchState) -> Genotype:
        epoch = stop(state)
        if epoch is None:
            return search.select(state)
        rows = {name: weights[epoch // measuring.every] for name, weights in state.memory.weights.items()}
        return keep(search.space, top_edges, jax.device_get(rows))

    return search._replace(select=select, course=search.course._replace(done=lambda state: stop(state) is not None))
