"""iDARTS: implicit gradients by a Neumann series (Zhang et al., arXiv:2106.10784)."""

from dnas.hypergradients.neumann import neumann
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Search, SearchSpace

PARTS = "softmax, implicit gradient by a Neumann series, top edges"
ADVICE = "A better hypergradient than one step at a few Hessian-vector products each time alpha moves."


def idarts(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    terms: int = 3,
    alpha_every: int = 4,
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
    """Return the iDARTS search: one implicit gradient for several steps of the weights.

    The authors' code (miaozhang0525/iDARTS) has DARTS' hyper-parameters and takes 4 steps of the weights on
    NAS-Bench-201, 5 on NAS-Bench-1Shot1. An epoch there has as many steps of the architecture parameters as there are
    validation minibatches; here an epoch is one of the weights, with `alpha_every` times fewer. Its Hessian is the
    diagonal of a slope, and it leaves noise in the weights; both are left out.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        terms: of the series.
        alpha_every: steps of the weights for each step of the architecture parameters.
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
        UserError: if `terms` or `alpha_every` is less than 1.
    """
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    return compose(
        space,
        relaxation=softmax(),
        hypergradient=neumann(terms),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        alpha_every=alpha_every,
        weights_first=True,
    )
