"""Single path one-shot search with uniform sampling (Guo et al., SPOS, arXiv:1904.00420)."""

from collections.abc import Sequence

import numpy as np
import optax

from dnas.arguments import at_least_one
from dnas.evolving import evolving
from dnas.genotype import Genotype
from dnas.optimizers import clipped_sgd, cosine_by_epoch
from dnas.relaxations.single_path import single_path
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.evolution import Evolution, Scores
from dnas.selection.one_hot import single_paths
from dnas.selection.perturbation import SIGNS, check_criterion
from dnas.selection.top_edges import top_edges
from dnas.types import Between, Search, SearchSpace, SearchState

PARTS = "uniformly drawn paths for the weights, evolutionary search by the supernet's validation accuracy"
ADVICE = "Limits, and several devices: one supernet ranks architectures, of which the best within each limit is kept."


def spos(
    space: SearchSpace,
    *,
    epochs: int = 250,
    steps_per_epoch: int,
    population: int = 50,
    generations: int = 20,
    parents: int = 10,
    mutation: float = 0.1,
    images: int = 2000,
    criterion: str = "accuracy",
    weight_lr: float = 0.025,
    weight_lr_min: float = 0.001,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    clip_norm: float = 5.0,
    nesterov: bool = True,
) -> Search:
    """Return the search that trains the weights alone, on uniformly drawn paths, and then compares architectures.

    Nothing is learnt of architectures while the weights are: a step computes one operation an edge, each as likely as
    any other, and `alpha` rests at zero. At the end an evolutionary search (`dnas.selection.evolution`) looks for the
    architecture of greatest accuracy on validation images, with the shared weights and batch statistics, among those
    within the space's limits. `alpha` then is what each operation adds to an architecture's score, by least squares,
    in standard deviations, so that operation weights say roughly what the supernet does.

    The numbers of the evolutionary search are those of the paper (section 4) and of the authors' code
    (megvii-model/SinglePathOneShot), which uses whole minibatches to estimate batch statistics anew; here those of each
    validation minibatch are taken. Those of the weights are as in the code for NAS-Bench-201 (AutoDL-Projects), because
    the paper's belong to ImageNet.

    Args:
        space: the space to search.
        epochs: length of the training, over which the learning rate falls.
        steps_per_epoch: steps in an epoch.
        population: architectures of a generation.
        generations: generations; the first is random.
        parents: architectures, the best so far, that a generation descends from.
        mutation: probability with which a mutation draws an edge anew.
        images: validation images that each architecture is scored on, in whole minibatches; 0: all.
        criterion: what it is scored by, `accuracy` or `loss`.
        weight_lr: learning rate of the weights in the first epoch.
        weight_lr_min: where the cosine ends.
        momentum: of the weights' SGD.
        weight_decay: L2 coefficient of the weights.
        clip_norm: largest global norm of the weights' gradient; 0 does not clip.
        nesterov: whether the weights' momentum is Nesterov's.

    Raises:
        UserError: for an unknown `criterion`, or a number out of its range.
    """
    at_least_one(epochs=epochs, images=images + 1)
    check_criterion(criterion)
    evolution = Evolution(population, generations, parents, mutation)
    steps = epochs * steps_per_epoch
    learning_rate = cosine_by_epoch(weight_lr, weight_lr_min, epochs, steps_per_epoch)
    search = compose(
        space,
        relaxation=single_path()._replace(expected=softmax().expected),
        hypergradient=None,
        selection=top_edges,
        weight_optimizer=clipped_sgd(learning_rate, momentum, weight_decay, clip_norm, nesterov),
        alpha_optimizer=optax.set_to_zero(),
        warm_up=steps,
    )

    def scores(state: SearchState, between: Between) -> Scores:
        def judged(genotypes: Sequence[Genotype]) -> np.ndarray:
            found = between.scores(state, single_paths(space.spec, genotypes), images or None)
            return SIGNS[criterion] * found[list(SIGNS).index(criterion)]

        return judged

    return evolving(search, epochs, steps, evolution, scores)
