"""SDARTS: weights that withstand a perturbed architecture (Chen and Hsieh, arXiv:2002.05283)."""

from collections.abc import Callable

from dnas.arguments import at_least_one
from dnas.errors import unknown
from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.regularisers.perturbation import adversarial_perturbation, epsilon_schedule, random_perturbation
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Array, Mixture, PRNGKey, Search, SearchSpace

PERTURBATIONS = ("random", "adversarial")

PARTS = "softmax, weights under random or adversarial perturbation, first order, top edges"
ADVICE = "Flat minima: when the derived network is much worse than the supernet. The adversarial form is slow."


def sdarts(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    perturbation: str = "random",
    epsilon: float = 0.03,
    epsilon_max: float = 0.3,
    ascent_steps: int = 7,
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
    """Return the SDARTS search: the weights learn under operation weights that are disturbed, more and more.

    SDARTS-RS draws the disturbance, SDARTS-ADV looks for one that raises the loss, which takes `ascent_steps` more
    passes. Hyper-parameters are those of the reference code (SmoothDARTS, and its copy in ruocwang/darts-pt), which
    otherwise searches as first-order DARTS does; the copy has no `none` among the operations (its space S5).

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        perturbation: `random` or `adversarial`.
        epsilon: radius of the disturbance in the first epoch.
        epsilon_max: radius that it grows to, linearly by epoch.
        ascent_steps: steps of the adversary.
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
        UserError: for an unknown `perturbation`, or fewer than one step of the adversary.
    """
    if perturbation not in PERTURBATIONS:
        raise unknown("perturbation", perturbation, PERTURBATIONS)
    at_least_one(ascent_steps=ascent_steps)
    radius = epsilon_schedule(epochs, epsilon, epsilon_max)

    def perturb(key: PRNGKey, mixture: Mixture, loss: Callable[[Mixture], Array], step: Array) -> Mixture:
        now = radius(step // steps_per_epoch)
        chosen = random_perturbation(now) if perturbation == "random" else adversarial_perturbation(now, ascent_steps)
        return chosen(key, mixture, loss)

    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    return compose(
        space,
        relaxation=softmax(),
        hypergradient=first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        perturbation=perturb,
    )
