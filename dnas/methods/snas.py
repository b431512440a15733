"""SNAS: Stochastic Neural Architecture Search (Xie et al., arXiv:1812.09926)."""

import optax

from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.gumbel_softmax import gumbel_softmax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Search, SearchSpace

PARTS = "Gumbel-softmax, single level and joint, top edges"
ADVICE = "One pass a step; where a resource term should act on a distribution of architectures."


def snas(
    space: SearchSpace,
    *,
    epochs: int = 150,
    steps_per_epoch: int,
    temperature: float = 1.0,
    temperature_min: float = 0.03,
    alpha_clip_norm: float = 10.0,
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
    """Return the SNAS search: Gumbel-softmax weights, and one pass over the training minibatch for both gradients.

    Hyper-parameters are those of the authors' code (SNAS-Series, `train_search.py`). Its Adam is that of training on
    several devices; on one, the code has plain SGD. It keeps all edges of a cell, with the strongest operation, which
    may be `none`; here the rule of the space applies. The published cost of the architecture (weight 1e-2 on its
    logarithm) is left out: give `dnas.search.compose` a regulariser for it.

    Args:
        space: the space to search.
        epochs: length of the search, over which learning rate and temperature fall.
        steps_per_epoch: steps in an epoch.
        temperature: of the Gumbel-softmax at the start.
        temperature_min: what it falls to, linearly.
        alpha_clip_norm: largest global norm of the architecture parameters' gradient; 0 does not clip.
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
        UserError: for a temperature that is not positive.
    """
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    adam = l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay)
    clip = optax.clip_by_global_norm(alpha_clip_norm) if alpha_clip_norm > 0 else optax.identity()
    return compose(
        space,
        relaxation=gumbel_softmax(temperature, temperature_min, epochs * steps_per_epoch),
        hypergradient=None,
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=optax.chain(clip, adam),
    )
