"""sharpDARTS: Max-W and cosine power annealing (Hundt, Jain and Hager, arXiv:1903.09900)."""

from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_power_by_epoch, l2_adam, warm_up_epochs
from dnas.relaxations.joint_softmax import joint_softmax
from dnas.relaxations.max_w import max_w
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Search, SearchSpace

PARTS = "Max-W, cosine power annealing, first order, top edges"
ADVICE = "Less rich-get-richer among operations; for short searches."


def sharp_darts(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    power: float = 2.0,
    rise: float = 0.1,
    weight_lr: float = 0.025,
    weight_lr_min: float = 1e-4,
    momentum: float = 0.9,
    weight_decay: float = 3e-4,
    clip_norm: float = 5.0,
    nesterov: bool = False,
    alpha_lr: float = 3e-4,
    alpha_beta1: float = 0.5,
    alpha_beta2: float = 0.999,
    alpha_weight_decay: float = 1e-3,
) -> Search:
    """Return the sharpDARTS search: a leading operation that always weighs 1, and a learning rate that falls faster.

    Hyper-parameters are those of the authors' code (ahundt/sharpDARTS), which otherwise searches as first-order DARTS
    does. Its operations (SharpSepConv) belong to the space. Where architectures are paths (HyperCuboid), the edges of a
    level share one softmax and one maximum.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        power: order of the annealing; 1 is the cosine.
        rise: share of the epochs at the start over which the learning rate rises, 5 of 50 as published.
        weight_lr: greatest learning rate of the weights.
        weight_lr_min: least one, of the last epoch.
        momentum: of the weights' SGD.
        weight_decay: L2 coefficient of the weights.
        clip_norm: largest global norm of the weights' gradient; 0 does not clip.
        nesterov: whether the weights' momentum is Nesterov's.
        alpha_lr: learning rate of the architecture parameters' Adam.
        alpha_beta1: its first moment's decay.
        alpha_beta2: its second moment's decay.
        alpha_weight_decay: L2 coefficient of the architecture parameters.

    Raises:
        UserError: for a `power` below 1 or a `rise` outside of [0, 1).
    """
    learning_rate = cosine_power_by_epoch(
        weight_lr, weight_lr_min, epochs, steps_per_epoch, power, warm_up_epochs(rise, epochs)
    )
    paths = any(group.path for group in space.spec.values())
    return compose(
        space,
        relaxation=joint_softmax(leading=True) if paths else max_w(),
        hypergradient=first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
    )
