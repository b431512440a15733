"""GDAS: searching with one sampled path (Dong and Yang, arXiv:1910.04465)."""

from dnas.errors import unknown
from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.gdas import gdas as straight_through
from dnas.relaxations.reinmax import reinmax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Search, SearchSpace

GRADIENTS = ("straight_through", "reinmax")

PARTS = "Gumbel-softmax with one path (straight-through or ReinMax), first order, weights first, top edges"
ADVICE = "About a quarter of the time of a step: large supernets and long searches."


def gdas(
    space: SearchSpace,
    *,
    epochs: int = 250,
    steps_per_epoch: int,
    gradient: str = "straight_through",
    temperature: float = 10.0,
    temperature_min: float = 0.1,
    weight_lr: float = 0.025,
    weight_lr_min: float = 0.001,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    clip_norm: float = 5.0,
    nesterov: bool = True,
    alpha_lr: float = 3e-4,
    alpha_beta1: float = 0.5,
    alpha_beta2: float = 0.999,
    alpha_weight_decay: float = 1e-3,
) -> Search:
    """Return the GDAS search: a supernet that computes one operation an edge, drawn by Gumbel-softmax.

    Hyper-parameters and the order of the two steps, the weights' first, are those of the authors' code for
    NAS-Bench-201 (AutoDL-Projects).

    Args:
        space: the space to search.
        epochs: length of the search, over which learning rate and temperature fall.
        steps_per_epoch: steps in an epoch.
        gradient: of the draw: `straight_through`, through the Gumbel-softmax, or `reinmax`, of second order
            (arXiv:2304.08612), which has no temperature.
        temperature: of the Gumbel-softmax at the start.
        temperature_min: what it falls to, linearly.
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
        UserError: for an unknown `gradient` or a temperature that is not positive.
    """
    if gradient not in GRADIENTS:
        raise unknown("gradient", gradient, GRADIENTS)
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    path = straight_through(temperature, temperature_min, epochs * steps_per_epoch)
    return compose(
        space,
        relaxation=reinmax() if gradient == "reinmax" else path,
        hypergradient=first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        weights_first=True,
    )
