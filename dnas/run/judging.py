"""What a finished search says of architectures by itself, where that is not its supernet's accuracy."""

from collections.abc import Sequence

import jax
import numpy as np

from dnas.genotype import Genotype
from dnas.run.examination import examination
from dnas.run.pipeline import Ended
from dnas.run.planning import Plan
from dnas.run.searching import Feed, SearchSettings
from dnas.run.settings import group


def judged(plan: Plan, ended: Ended, genotypes: Sequence[Genotype]) -> np.ndarray | None:
    """Return `(N,)` numbers of which larger is better and only the order counts; `None` if it has no such opinion.

    Args:
        plan: the run's plan.
        ended: the last stage of its search.
        genotypes: N architectures, all compared with each other.
    """
    search = ended.stage.search
    if search.judge is None:
        return None
    between = examination(search.space, *feed(plan, ended).shown(), jax.random.key(0))
    return search.judge(plan.devices.here(ended.state), between, genotypes)


def feed(plan: Plan, ended: Ended, images: int | None = None) -> Feed:
    """Return what a stage was fed with, on one device; of the validation images at most `images`, but a minibatch."""
    _, shown, *rows = ended.stage.phase.arguments
    train, valid = plan.devices.here(tuple(rows))
    chosen = SearchSettings(**group(plan.config.values, "search", SearchSettings))
    some = valid if images is None else valid[: max(images, chosen.batch_size)]
    return Feed(plan.dataset, shown, (train, some), chosen, plan.devices)
