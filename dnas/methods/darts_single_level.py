"""Single-level DARTS, the ablation of the paper (Liu, Simonyan and Yang, arXiv:1806.09055, section 3.3)."""

from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Search, SearchSpace

PARTS = "softmax, one data split (joint or alternating), top edges"
ADVICE = "Half the cost of darts and all data for the weights, but alpha learns what the weights memorise."


def darts_single_level(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    joint: bool = True,
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
    """Return the DARTS search that learns weights and architecture parameters from the same data.

    The paper finds it worse than two levels, and worse by coordinate descent than jointly. Only training minibatches
    are used, so that the weights' share of the images should be nearly all of them.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        joint: whether one pass gives both gradients; if not, the two take turns on the minibatch.
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
    """
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    return compose(
        space,
        relaxation=softmax(),
        hypergradient=None if joint else first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        single_level=True,
    )
