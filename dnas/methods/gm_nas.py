"""GM-NAS: few-shot search, the supernet split by gradient matching (Hu et al., arXiv:2203.15207).

Operations of an edge whose gradients pull the shared weights apart get sub-supernets of their own. With the exhaustive
split it is few-shot NAS (Zhao et al., arXiv:2006.06863). The order of things is that of the reference code
(skhu101/GM-NAS, `WS-GM/nasbench201/train_search.py`); `dnas.fewshot` has the parts.
"""

from dnas.arguments import at_least_one
from dnas.errors import UserError, unknown
from dnas.fewshot.course import Splitting, few_shot, split_epochs
from dnas.fewshot.divide import Matching, by_matching, divisible, one_by_one
from dnas.fewshot.masks import all_allowed
from dnas.fewshot.partition import RULES
from dnas.hypergradients.first_order import first_order
from dnas.hypergradients.unrolled import unrolled
from dnas.optimizers import clipped_sgd, cosine_by_epoch, l2_adam, warm_up_epochs
from dnas.relaxations.masked import masked
from dnas.search import compose
from dnas.selection.top_edges import top_edges
from dnas.types import Search, SearchSpace

PARTS = "masked softmax, first order or unrolled, top edges, supernet split by gradient matching or exhaustively"
ADVICE = "Where weights that all operations share mislead alpha: it costs as many times darts as there are supernets."
CRITERIA = ("gradient", "exhaustive")


def gm_nas(
    space: SearchSpace,
    *,
    epochs: int = 60,
    steps_per_epoch: int,
    splits: int = 2,
    split_share: float = 0.5,
    criterion: str = "gradient",
    groups: int = 2,
    smallest: int = 2,
    edge_rule: str = "cut",
    minibatches: int = 100,
    hard: bool = True,
    restart: bool = True,
    warm_up: float = 0.5,
    second_order: bool = False,
    order: int = 0,
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
    """Return DARTS on a supernet that is split on the way, with the hyper-parameters published for NAS-Bench-201.

    The supernet is split after 15 and 30 of 60 epochs on one edge each time, every sub-supernet on its own edge, and
    the parts are trained together as one program; `batch_size` was 48. In the end the architecture is kept that scores
    best on the validation data with the weights of the sub-supernet that selects it. Splitting takes `minibatches`
    gradients for each operation of each edge that is still whole. A sub-supernet takes over weights, alpha and both
    optimisers; with `restart` the last ones begin anew instead, with a learning rate that falls over the epochs that
    are left, as the reference code does on the DARTS space; there it uses 21 epochs with `splits=3, split_share=0.286,
    warm_up=0.286, smallest=2, edge_rule=within, hard=false`. The authors' runs on NAS-Bench-201 are of second order.

    Args:
        space: the space to search.
        epochs: length of the search, at least 2.
        steps_per_epoch: steps in an epoch.
        splits: how often the supernet is split; splits that fall into one epoch are one.
        split_share: share of the epochs by the end of which the last split is made; the others are spread evenly.
        criterion: how an edge is divided: `gradient`, or `exhaustive`, every operation of an edge drawn at random by
            itself.
        groups: parts of an edge, by gradient.
        smallest: least number of operations in a part, by gradient.
        edge_rule: which edge is split, by gradient: `cut`, or `within`.
        minibatches: over how many the distances of gradients are averaged.
        hard: whether an operation weighs 1 while its gradient is taken, instead of its weight in the mixture.
        restart: whether the last sub-supernets begin anew.
        warm_up: share of the epochs in which alpha rests.
        second_order: whether the gradient for alpha is that of the loss one step of the weights ahead.
        order: seed of the order in which edges are split exhaustively.
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
        UserError: for an unknown `criterion` or `edge_rule`, counts less than 1, fewer than 2 epochs, or more splits
            than the space has edges to split.
    """
    at_least_one(splits=splits, groups=groups, smallest=smallest, minibatches=minibatches)
    if criterion not in CRITERIA:
        raise unknown("criterion", criterion, CRITERIA)
    if edge_rule not in RULES:
        raise unknown("edge_rule", edge_rule, RULES)
    if epochs < 2:
        raise UserError(f"search.epochs: expected at least 2, so that something is trained after a split, got {epochs}")
    ends = split_epochs(splits, split_share, epochs)
    resting = warm_up_epochs(warm_up, epochs) * steps_per_epoch

    def supernet(first: int) -> Search:
        return compose(
            space,
            relaxation=masked(),
            hypergradient=unrolled() if second_order else first_order(),
            selection=top_edges,
            weight_optimizer=clipped_sgd(
                cosine_by_epoch(weight_lr, weight_lr_min, epochs - first, steps_per_epoch),
                momentum,
                weight_decay,
                clip_norm,
                nesterov,
            ),
            alpha_optimizer=l2_adam(alpha_lr, alpha_beta1, alpha_beta2, alpha_weight_decay),
            warm_up=resting,
        )

    by_gradient = criterion == "gradient"
    whole = divisible(space.spec, all_allowed(space.spec), groups if by_gradient else 2)
    if len(whole) < len(ends):
        raise UserError(
            f"search.splits: expected at most {len(whole)}, the edges with enough operations to be split, got "
            f"{len(ends)} splits"
        )
    matching = Matching(groups, smallest, edge_rule, minibatches, hard)
    divide = by_matching(supernet(0), matching) if by_gradient else one_by_one(space.spec, order)
    most = groups if by_gradient else max(len(group.ops) for group in space.spec.values())
    return few_shot(supernet, Splitting(ends, epochs, divide, most, restart), steps_per_epoch)
