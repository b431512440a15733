"""Fair DARTS: independent operation weights (Chu et al., arXiv:1911.12126)."""

from dnas.errors import unknown
from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.regularisers.zero_one import zero_one
from dnas.relaxations.sigmoid import sigmoid
from dnas.search import compose
from dnas.selection.threshold import threshold
from dnas.types import Alpha, Array, Search, SearchSpace, Weights

FORMS = ("l2", "l1")

PARTS = "sigmoid with zero-one loss, first order, threshold"
ADVICE = "Operations do not compete, so that skip connections gain no unfair lead."


def fair_darts(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    zero_one_weight: float = 10.0,
    zero_one_form: str = "l2",
    minimum: float = 0.85,
    weight_lr: float = 0.005,
    weight_lr_min: float = 0.001,
    momentum: float = 0.9,
    weight_decay: float = 3e-4,
    clip_norm: float = 5.0,
    nesterov: bool = False,
    alpha_lr: float = 3e-3,
    alpha_beta1: float = 0.9,
    alpha_beta2: float = 0.999,
    alpha_weight_decay: float = 1e-3,
) -> Search:
    """Return the Fair-DARTS search: sigmoid weights, driven to 0 or 1 by a loss, and kept if they are large.

    Hyper-parameters are those of the authors' code (xiaomi-automl/FairDARTS), whose learning rate belongs to
    minibatches of 128. The published space has no `none`, since an edge whose weights are all small is dropped.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        zero_one_weight: weight of the zero-one loss.
        zero_one_form: `l2` or `l1`.
        minimum: least weight of a kept operation.
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
        UserError: for an unknown form of the loss or a `minimum` outside of [0, 1].
    """
    if zero_one_form not in FORMS:
        raise unknown("form of the zero-one loss", zero_one_form, FORMS)

    def penalty(alpha: Alpha, weights: Weights) -> Array:
        del alpha
        return zero_one_weight * zero_one(weights, zero_one_form)

    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    return compose(
        space,
        relaxation=sigmoid(),
        hypergradient=first_order(),
        selection=threshold(minimum),
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        regularisers=(penalty,),
    )
