"""DARTS: Differentiable Architecture Search (Liu, Simonyan and Yang, arXiv:1806.09055)."""

from dnas.errors import unknown
from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.joint_softmax import joint_softmax
from dnas.relaxations.softmax import softmax
from dnas.relaxations.sparsemax import sparsemax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Search, SearchSpace

MIXINGS = {"softmax": softmax, "sparsemax": sparsemax, "joint": joint_softmax}

PARTS = "softmax, first order, top edges"
ADVICE = "The baseline. Its drift to skip connections grows with the epochs: hold it against the others."


def darts(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
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
    """Return the first-order DARTS search with the published hyper-parameters.

    R-DARTS (L2) (arXiv:1909.09656) is this search with a larger `weight_decay`: the best of 3e-4, 9e-4, 27e-4 and
    81e-4, a grid that is recalled.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        mixing: `softmax`, or `sparsemax`, whose weak operations weigh exactly 0, as the code of TangleNAS mixes with
            second-order DARTS, or `joint`, one softmax over all edges that compete, as the code of sharpDARTS weighs
            HyperCuboid.
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
        UserError: for an unknown `mixing`.
    """
    if mixing not in MIXINGS:
        raise unknown("mixing", mixing, MIXINGS)
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    return compose(
        space,
        relaxation=MIXINGS[mixing](),
        hypergradient=first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
    )
