"""OLES: operation-level early stopping (Jiang et al., NeurIPS 2023, OpenReview:yAOwkf4FyL)."""

from dnas.arguments import at_least_one
from dnas.errors import UserError
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.stopping.freezing import freezing, remembering, trained_ops, watching
from dnas.types import Search, SearchSpace

PARTS = "softmax, first order, operations freeze when their gradients part, top edges"
ADVICE = "Against the drift to skip connections at the cost of darts; see how many operations freeze."


def oles(
    space: SearchSpace,
    *,
    epochs: int = 50,
    steps_per_epoch: int,
    window: int = 20,
    least: float = 0.4,
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
    """Return the DARTS search in which an operation is trained no further once it overfits.

    That is when its gradients on validation and training minibatches have agreed too little over a window of steps.
    Hyper-parameters are those of the authors' code (PasaLab/oles, `train_search.py`), which may keep `none`; here the
    rule of the space applies. A frozen operation's weights stand still; in the code, under a PyTorch that sets the
    gradients of the others to zero rather than to nothing, momentum and weight decay move them on. A search state's
    `hypergradient` says which operations are frozen (`dnas.stopping.freezing`).

    Args:
        space: the space to search.
        epochs: length of the search, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        window: steps over which the cosine of an operation's two gradients is averaged.
        least: mean cosine below which it is frozen for good; -1 freezes nothing.
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
        UserError: if `window` is less than 1, or the weights of an operation are not found by its name.
    """
    at_least_one(window=window)
    if not space.by_name:
        raise UserError(
            f"OLES needs to know the weights of each operation, but in the model of {space.name} they have names of "
            f"their own: choose another method, such as darts_minus or r_darts"
        )
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    ops = trained_ops(space.spec)
    return compose(
        space,
        relaxation=softmax(),
        hypergradient=watching(ops, window=window, least=least),
        selection=top_edges,
        weight_optimizer=remembering(clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov)),
        alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
        freezing=freezing(ops),
    )
