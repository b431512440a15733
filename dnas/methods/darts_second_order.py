"""Second-order DARTS: one step of the weights unrolled (Liu, Simonyan and Yang, arXiv:1806.09055)."""

from dnas.errors import unknown
from dnas.hypergradients.unrolled import unrolled
from dnas.hypergradients.unrolled_fd import unrolled_fd
from dnas.methods.darts import MIXINGS
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Search, SearchSpace

PARTS = "softmax or sparsemax, one unrolled step (exact or finite difference), top edges"
ADVICE = "Several times the cost of a darts step; where the dependence of the weights on alpha matters."


def darts_second_order(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    xi: float = 1.0,
    finite_difference: bool = False,
    mixing: str = "softmax",
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
    """Return the second-order DARTS search with the published hyper-parameters.

    The gradient for the architecture parameters is that of the validation loss one step of the weights ahead, exact by
    default. The authors' code approximates it by a finite difference, and leaves clipping out of the step ahead.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        xi: length of the step ahead, as a multiple of the optimiser's own step; 0 is first order.
        finite_difference: whether to approximate as the authors' code does: four passes, none of which is
            differentiated twice.
        mixing: `softmax`, or `sparsemax`, whose weak operations weigh exactly 0, as the code of TangleNAS mixes with
            this method, or `joint`, as in `darts`.
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
        UserError: for an unknown `mixing` or a negative `xi`.
    """
    if mixing not in MIXINGS:
        raise unknown("mixing", mixing, MIXINGS)
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    virtual = clipped_sgd(learning_rate, momentum, weight_decay, 0.0, nesterov)
    return compose(
        space,
        relaxation=MIXINGS[mixing](),
        hypergradient=unrolled_fd(xi, optimizer=virtual) if finite_difference else unrolled(xi),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
    )
