"""DropNAS: grouped operation dropout (Hong et al., arXiv:2201.11679)."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.regularisers.partial_decay import ENTRIES, partial_decay
from dnas.relaxations.op_dropout import op_dropout
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Search, SearchSpace

PARTS = "grouped operation dropout with alpha adjustment, single level and joint, partial decay, top edges"
ADVICE = "One level on all data with less co-adaptation of operations."


def drop_nas(
    space: SearchSpace,
    *,
    epochs: int = 76,
    steps_per_epoch: int,
    drop_rate: float = 3e-5,
    weight_lr: float = 0.0375,
    weight_lr_min: float = 0.0015,
    momentum: float = 0.9,
    weight_decay: float = 3e-4,
    clip_norm: float = 3.0,
    nesterov: bool = False,
    alpha_lr: float = 3e-4,
    alpha_beta1: float = 0.5,
    alpha_beta2: float = 0.999,
    alpha_weight_decay: float = 1e-3,
) -> Search:
    """Return the DropNAS search: operations are dropped at random, and one pass gives both gradients.

    Hyper-parameters are those of the authors' code (wiljohnhong/DropNAS), whose learning rate belongs to minibatches of
    96 and whose supernet has 14 cells. As there, both optimisers take a second step in each minibatch, on the decay of
    what took part in it. The code asks that of each tensor as a whole; here each entry of a tensor is asked, since a
    space may stack the tensors of several edges. It also ranks the edges of a node by their raw architecture
    parameters; here the softmax ranks them. Only training minibatches are used, so that the weights' share of the
    images should be nearly all of them.

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        drop_rate: probability that a whole group of operations would be dropped at once.
        weight_lr: learning rate of the weights in the first epoch.
        weight_lr_min: where the cosine ends.
        momentum: of the weights' SGD.
        weight_decay: factor of the weights' sum of squares, which is not halved.
        clip_norm: largest global norm of the weights' gradient; 0 does not clip.
        nesterov: whether the weights' momentum is Nesterov's.
        alpha_lr: learning rate of the architecture parameters' Adam.
        alpha_beta1: its first moment's decay.
        alpha_beta2: its second moment's decay.
        alpha_weight_decay: factor of the architecture parameters' sum of squares.

    Raises:
        UserError: for a rate outside of [0, 1).
    """
    # The optimiser counts two steps in each minibatch.
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, 2 * steps_per_epoch)
    sgd = clipped_sgd(learning_rate, momentum, 0.0, clip_norm, nesterov)
    adam = l2_adam(alpha_lr, alpha_beta1, alpha_beta2, 0.0)
    return compose(
        space,
        relaxation=op_dropout(drop_rate),
        hypergradient=None,
        selection=top_edges,
        weight_optimizer=decayed_after(sgd, weight_decay),
        alpha_optimizer=decayed_after(adam, alpha_weight_decay, above=1e-7),
    )


def decayed_after(
    optimizer: optax.GradientTransformation, weight_decay: float, above: float = 0.0
) -> optax.GradientTransformation:
    """Return the optimiser that steps twice: against the gradient, then against the decay of what had a gradient.

    Args:
        optimizer: takes both steps; momentum, moments and schedules go on from one to the other.
        weight_decay: factor of the sum of squares whose gradient the second step is against.
        above: least magnitude of an entry that counts as a gradient.
    """

    def update(grads: Any, state: optax.OptState, params: Any = None) -> tuple[Any, optax.OptState]:
        first, state = optimizer.update(grads, state, params)
        moved = optax.apply_updates(params, first)
        decay = partial_decay(grads, moved, weight_decay, lead=ENTRIES, above=above)
        second, state = optimizer.update(decay, state, moved)
        return jax.tree.map(jnp.add, first, second), state

    return optax.GradientTransformation(optimizer.init, update)
