"""RC-DARTS: resource-constrained differentiable architecture search (Jin et al., arXiv:1912.12814)."""

import math
from collections.abc import Callable
from functools import cache

from jax import lax

from dnas.arguments import at_least_one
from dnas.costs import tables
from dnas.errors import UserError
from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.regularisers.budget import Bounds, excess
from dnas.regularisers.resources import nearest
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Alpha, Array, Constraint, Search, SearchSpace

PARTS = "softmax, first order, iterative projection onto a budget, top edges"
ADVICE = "Where parameters or multiply-adds are bounded; space.levels gives each depth cells of its own."


def rc_darts(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    max_params: int = 0,
    min_params: int = 0,
    max_macs: int = 0,
    min_macs: int = 0,
    project_every: int = 10,
    projection_steps: int = 200,
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
    """Return the RC-DARTS search: first-order DARTS whose architecture parameters are drawn back into a budget.

    Only the abstract could be read: a constrained problem, solved by iterative projection, and a multi-level strategy
    (`space.levels` of the DARTS space). That some unconstrained steps are followed by a projection, found by gradient
    descent, is recalled; how often and how far are choices of this library, and the other hyper-parameters are those of
    DARTS. Without bounds this is first-order DARTS.

    A budget counts networks of the supernet's size on one image of the search, and bounds what is expected of the
    architectures that may be derived (`dnas.regularisers.budget`). The one that is kept may cost more or less, and a
    network that is retrained with more channels costs more: `network.workload` tells.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        max_params: greatest number of trained parameters; 0: no bound.
        min_params: least number.
        max_macs: greatest number of multiply-adds; 0: no bound.
        min_macs: least number.
        project_every: steps from one projection to the next; the last step of the search ends with one too.
        projection_steps: gradient steps of a projection.
        weight_lr: learning rate of the weights in the first epoch.
        weight_lr_min: where the cosine ends.
        momentum: of the weights' SGD.
        weight_decay: L2 coefficient of the weights.
        clip_norm: largest global norm of the weights' gradient; 0 does not clip.
        nesterov: whether the weights' momentum is Nesterov's, as published for NAS-Bench-201.
        alpha_lr: learning rate of the architecture parameters' Adam.
        alpha_beta1: its first moment's decay.
        alpha_beta2: its second moment's decay.
        alpha_weight_decay: L2 coefficient of the architecture parameters.

    Raises:
        UserError: for a bound or a number of steps out of its range; from `init`, for bounds that no architecture
            keeps, with what can be reached.
    """
    at_least_one(project_every=project_every, projection_steps=projection_steps)
    bounds = _bounds(params=(min_params, max_params), macs=(min_macs, max_macs))
    last = epochs * steps_per_epoch
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    return compose(
        space,
        relaxation=softmax(),
        hypergradient=first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        constraint=projection(space, bounds, project_every, last, projection_steps) if bounds else None,
    )


def projection(space: SearchSpace, bounds: Bounds, every: int, last: int, steps: int) -> Constraint:
    """Return the constraint that projects onto a budget now and then.

    Args:
        space: the space, whose costs are measured when the shape of its images is known.
        bounds: the least and the greatest cost of each bounded resource.
        every: steps from one projection to the next.
        last: steps of the search, the last of which ends with a projection.
        steps: gradient steps of a projection.
    """

    @cache
    def outside(shape: tuple[int, ...]) -> Callable[[Alpha], Array]:
        return excess(space.spec, tables(space, shape), bounds)

    def constrain(alpha: Alpha, step: Array, shape: tuple[int, ...]) -> Alpha:
        taken = step + 1
        due = (taken % every == 0) | (taken == last)
        own = outside(shape)
        return lax.cond(due, lambda alpha: nearest(alpha, own, steps=steps), lambda alpha: alpha, dict(alpha))

    return constrain


def _bounds(**asked: tuple[int, int]) -> Bounds:
    """Return the bounds of resources of which the least or the greatest cost is given, 0 being none."""
    for resource, (low, high) in asked.items():
        if min(low, high) < 0:
            raise UserError(
                f"search.min_{resource} and search.max_{resource}: expected 0 or more, got {low} and {high}"
            )
        if 0 < high < low:
            raise UserError(
                f"search.min_{resource} is {low} and search.max_{resource} is {high}: swap them, or set one to 0"
            )
    return {
        resource: (float(low), float(high) if high else math.inf)
        for resource, (low, high) in asked.items()
        if low or high
    }
