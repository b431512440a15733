"""DARTS-: stepping out of collapse without indicators (Chu et al., arXiv:2009.01027)."""

from dnas.errors import UserError
from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.auxiliary_skip import auxiliary_skip
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Search, SearchSpace

SKIP = "skip_connect"

PARTS = "softmax with a fading auxiliary skip connection, first order, top edges"
ADVICE = "A cheap change against collapse, with no indicator to tune."


def darts_minus(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    decay: str = "linear",
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
    """Return the DARTS- search: an auxiliary skip connection on every edge, which fades over the search.

    Hyper-parameters are those of the authors' code (Meituan-AutoML/DARTS-), where the auxiliary connection's weight
    falls once an epoch; here it falls with every step.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        decay: how the auxiliary connection's weight falls from 1 to 0: `linear` or `cosine`.
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
        UserError: if the space has no skip connection, or for an unknown `decay`.
    """
    if not any(SKIP in group.ops for group in space.spec.values()):
        raise UserError(f"DARTS- needs the operation {SKIP!r}, which no edge of this space has: add it to space.ops")
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    return compose(
        space,
        relaxation=auxiliary_skip(softmax(), epochs * steps_per_epoch, decay, SKIP),
        hypergradient=first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
    )
