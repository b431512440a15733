"""RARTS: a relaxed architecture search with two copies of the weights (Xue, Qi and Xin, arXiv:2008.03901)."""

from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.softmax import softmax
from dnas.selection.top_edges import top_edges
from dnas.splitting import split_search
from dnas.types import Search, SearchSpace

PARTS = "softmax, two copies of the weights, top edges"
ADVICE = "Second-order quality is claimed for first-order work; twice the memory of the weights."


def rarts(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    balance: float = 10.0,
    coupling: float = 10.0,
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
    """Return the RARTS search: one copy of the weights learns from each split, and a spring couples them.

    Only the abstract could be read: the objective is recalled, `balance` and `coupling` are those of the paper's
    solvable model, as recalled, and the other hyper-parameters are those of DARTS.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        balance: weight of the training loss.
        coupling: the spring's constant.
        weight_lr: learning rate of both copies of the weights in the first epoch.
        weight_lr_min: where the cosine ends.
        momentum: of their SGD.
        weight_decay: L2 coefficient of the weights.
        clip_norm: largest global norm of a copy's gradient, with the spring's pull; 0 does not clip.
        nesterov: whether the weights' momentum is Nesterov's, as published for NAS-Bench-201.
        alpha_lr: learning rate of the architecture parameters' Adam.
        alpha_beta1: its first moment's decay.
        alpha_beta2: its second moment's decay.
        alpha_weight_decay: L2 coefficient of the architecture parameters.

    Raises:
        UserError: if `balance` is not positive or `coupling` is negative.
    """
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    return split_search(
        space,
        relaxation=softmax(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        balance=balance,
        coupling=coupling,
    )
