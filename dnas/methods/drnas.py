"""DrNAS: Dirichlet Neural Architecture Search (Chen et al., arXiv:2006.10355)."""

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln

from dnas.errors import UserError
from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam, warm_up_epochs
from dnas.relaxations.dirichlet import FLOOR, dirichlet
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Alpha, Array, Search, SearchSpace, Weights

PARTS = "Dirichlet, first order, partial channels as an option, top edges"
ADVICE = "Explores at first and commits later; a good second opinion wherever darts collapses."


def drnas(
    space: SearchSpace,
    *,
    epochs: int = 100,
    steps_per_epoch: int,
    partial_channels: int = 1,
    warm_up: float = 0.0,
    kl: float = 0.0,
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
    """Return the DrNAS search: operation weights drawn from a Dirichlet distribution that is learnt.

    Hyper-parameters are those of the authors' code for NAS-Bench-201 without progressive stages (DrNAS,
    `201-space/train_search.py`). The progressive schemes widen channels and prune operations of a supernet that is
    trained on, which takes several searches one after another; they are not part of this one. On the DARTS space these
    have partial channels 6 then 4, 25 + 25 epochs of which the first 10 of each are a warm-up, a learning rate of 0.1
    falling to 0, `alpha_lr` 6e-4, and no `none` among the operations.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        partial_channels: K of PC-DARTS: one K-th of the channels goes through the operations.
        warm_up: share of the epochs at the start in which only the weights are trained.
        kl: weight of the distributions' divergence from the uniform Dirichlet, summed over edges; the code's other
            regulariser, 1e-3 in place of `alpha_weight_decay`.
        weight_lr: learning rate of the weights in the first epoch.
        weight_lr_min: where the cosine ends.
        momentum: of the weights' SGD.
        weight_decay: L2 coefficient of the weights.
        clip_norm: largest global norm of the weights' gradient; 0 does not clip.
        nesterov: whether the weights' momentum is Nesterov's.
        alpha_lr: learning rate of the architecture parameters' Adam.
        alpha_beta1: its first moment's decay.
        alpha_beta2: its second moment's decay.
        alpha_weight_decay: L2 coefficient of the architecture parameters, which draws the distributions to the uniform
            one.

    Raises:
        UserError: for a negative `kl` or a `warm_up` outside of [0, 1), or if the space's channels cannot be divided by
            `partial_channels`.
    """
    if not kl >= 0:
        raise UserError(f"kl is {kl}: choose 0 or a greater weight")

    def penalty(alpha: Alpha, weights: Weights) -> Array:
        del weights
        return kl * divergence(alpha)

    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    return compose(
        space.rebuild(partial_channels=partial_channels) if partial_channels != 1 else space,
        relaxation=dirichlet(),
        hypergradient=first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        warm_up=warm_up_epochs(warm_up, epochs) * steps_per_epoch,
        regularisers=(penalty,) if kl else (),
    )


def divergence(alpha: Alpha) -> Array:
    """Return the sum over edges of KL(Dirichlet(elu(alpha) + 1) || Dirichlet(1)), in nats; 0 at `alpha` 0."""
    return sum((_divergence(rows) for rows in alpha.values()), start=jnp.zeros(()))


def _divergence(rows: Array) -> Array:
    concentration = jnp.maximum(jax.nn.elu(rows) + 1, FLOOR)
    total = concentration.sum(axis=-1)
    normalisers = gammaln(total) - gammaln(concentration).sum(axis=-1) - gammaln(float(rows.shape[-1]))
    spread = (concentration - 1) * (digamma(concentration) - digamma(total)[:, None])
    return (normalisers + spread.sum(axis=-1)).sum()
