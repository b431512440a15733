"""PC-DARTS: partial channel connections with edge normalisation (Xu et al., arXiv:1907.05737)."""

from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam, warm_up_epochs
from dnas.relaxations.edge_normalised import edge_normalised
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Search, SearchSpace

PARTS = "softmax with edge normalisation, partial channels, first order, warm-up, top edges"
ADVICE = "A fraction of the time and, on GPUs, of the memory: large batches, and proxyless search on large data."


def pc_darts(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    partial_channels: int = 4,
    warm_up: float = 0.3,
    weight_lr: float = 0.1,
    weight_lr_min: float = 0.0,
    momentum: float = 0.9,
    weight_decay: float = 3e-4,
    clip_norm: float = 5.0,
    nesterov: bool = False,
    alpha_lr: float = 6e-4,
    alpha_beta1: float = 0.5,
    alpha_beta2: float = 0.999,
    alpha_weight_decay: float = 1e-3,
) -> Search:
    """Return the PC-DARTS search: a supernet that sends one K-th of the channels through its operations.

    Where edges compete for a place in the architecture each has a learnt weight too, and the selection goes by the
    product of both; where a space keeps all its edges, there is none. Hyper-parameters are those of the authors' code
    for CIFAR-10 (yuhuixu1993/PC-DARTS), whose learning rate belongs to minibatches of 256.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        partial_channels: K.
        warm_up: share of the epochs at the start in which only the weights are trained, 15 of 50 as published.
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
        UserError: if the space's channels cannot be divided by `partial_channels`, or for a `warm_up` outside of [0,
            1).
    """
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    competing = any(group.keep is not None for group in space.spec.values())
    return compose(
        space.rebuild(partial_channels=partial_channels),
        relaxation=edge_normalised(softmax()) if competing else softmax(),
        hypergradient=first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        warm_up=warm_up_epochs(warm_up, epochs) * steps_per_epoch,
    )
