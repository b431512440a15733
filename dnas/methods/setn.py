"""SETN: one-shot search with uniformly drawn paths for the weights (Dong and Yang, arXiv:1910.05733)."""

from collections.abc import Callable

import jax

from dnas.hypergradients.first_order import first_order
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Array, Mixture, Paths, PRNGKey, Search, SearchSpace

PARTS = "softmax, weights under uniformly drawn paths, first order, top edges"
ADVICE = "A supernet that ranks single architectures: the weights never see a mixture."


def setn(
    space: SearchSpace,
    *,
    epochs: int = 250,
    steps_per_epoch: int,
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
    """Return the SETN search: weights learn on uniformly drawn architectures, `alpha` on the mixture of all.

    Hyper-parameters and the order of the two steps, the weights' first, are those of the authors' code for
    NAS-Bench-201 (AutoDL-Projects). That code at last compares the 100 most probable architectures by their validation
    accuracy with shared weights; here the most probable one is selected. A supernet computes all operations in either
    step.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
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
    """
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    return compose(
        space,
        relaxation=softmax(),
        hypergradient=first_order(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        weights_first=True,
        perturbation=uniform,
    )


def uniform(key: PRNGKey, mixture: Mixture, loss: Callable[[Mixture], Array], step: Array) -> Mixture:
    """Return one operation of weight 1 on each edge, each as likely as any other; a `dnas.types.Perturbation`."""
    del loss, step
    drawn = {}
    for own, (name, rows) in zip(jax.random.split(key, len(mixture)), sorted(mixture.items()), strict=True):
        assert not isinstance(rows, Paths)
        columns = jax.random.randint(own, rows.shape[:1], 0, rows.shape[-1])
        drawn[name] = jax.nn.one_hot(columns, rows.shape[-1], dtype=rows.dtype)
    return drawn
