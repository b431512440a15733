"""ProxylessNAS: direct search with binary gates (Cai, Zhu and Han, arXiv:1812.00332)."""

import optax

from dnas.errors import UserError
from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam, warm_up_epochs
from dnas.relaxations.binary_gates import binary_gates
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Search, SearchSpace

PARTS = "binary gates (two paths or all), first order, warm-up, alpha every few steps, top edges"
ADVICE = "Large supernets, and searches with a latency table: memory of two paths."


def proxyless(
    space: SearchSpace,
    *,
    epochs: int = 160,
    steps_per_epoch: int,
    gates: str = "two",
    warm_up: float = 0.25,
    warm_up_lr: float = 0.05,
    alpha_every: int = 5,
    weight_lr: float = 0.025,
    weight_lr_min: float = 0.0,
    momentum: float = 0.9,
    weight_decay: float = 4e-5,
    clip_norm: float = 0.0,
    nesterov: bool = True,
    alpha_lr: float = 1e-3,
    alpha_beta1: float = 0.0,
    alpha_beta2: float = 0.999,
    alpha_weight_decay: float = 0.0,
) -> Search:
    """Return the gradient-based ProxylessNAS search: one gate an edge is open, and a supernet computes two paths.

    Hyper-parameters are those of the authors' code for ImageNet (mit-han-lab/proxylessnas, `imagenet_arch_search.py`):
    120 epochs after 40 of warm-up with a cosine of its own, the weights' step first, the architecture parameters' in
    every fifth step. (They also rest in the epoch after the warm-up there.) Its default mode of the gates is `full`;
    two paths are the paper's. Latency, label smoothing and spaces of the paper are left out; an expected latency can be
    given to `dnas.search.compose` as a regulariser.

    Args:
        space: the space to search.
        epochs: length of the search, with its warm-up.
        steps_per_epoch: steps in an epoch.
        gates: `two` computes a drawn pair of operations on each edge, `full` computes all.
        warm_up: share of the epochs at the start in which only the weights are trained, 40 of 160 as published.
        warm_up_lr: learning rate of the weights in the warm-up's first step; a cosine takes it to 0.
        alpha_every: steps for each step of the architecture parameters.
        weight_lr: learning rate of the weights in the first step after the warm-up.
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
        UserError: for an unknown mode of `gates`, a `warm_up` outside of [0, 1), `alpha_every` below 1, or a group of
            one operation.
    """
    for name, group in space.spec.items():
        if len(group.ops) < 2:
            raise UserError(
                f"ProxylessNAS needs two operations on each edge, but {name!r} has {len(group.ops)}: add to space.ops"
            )
    warm = warm_up_epochs(warm_up, epochs) * steps_per_epoch
    learning_rate = optax.join_schedules(
        [
            cosine_by_epoch(warm_up_lr, 0.0, max(warm, 1), 1),
            cosine_by_epoch(weight_lr, weight_lr_min, epochs * steps_per_epoch - warm, 1),
        ],
        [warm],
    )
    return compose(
        space,
        relaxation=binary_gates(gates),
        hypergradient=first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        warm_up=warm,
        alpha_every=alpha_every,
        weights_first=True,
    )
