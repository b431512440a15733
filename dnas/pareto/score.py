"""Accuracies of architectures with the weights of a trained supernet, each looked at once and remembered."""

from collections.abc import Iterable

import jax

from dnas.genotype import Genotype
from dnas.run.directory import RunDirectory
from dnas.run.examination import examination
from dnas.run.interrupt import Stop
from dnas.run.judging import feed, judged
from dnas.run.pipeline import Ended
from dnas.run.planning import Plan
from dnas.selection.one_hot import single_paths
from dnas.study.ranking import representable

SCORES = "supernet.json"
"""In a run's directory: what its supernet said of architectures."""
EVERY = 20
IMAGES = 1000
"""Validation images on which an architecture is tested."""


def line(genotype: Genotype) -> str:
    """Return an architecture on one line."""
    return " / ".join(str(genotype).splitlines())


def supernet_accuracies(
    run: RunDirectory, plan: Plan, ended: Ended, genotypes: Iterable[Genotype], stop: Stop
) -> dict[Genotype, float]:
    """Return the accuracy of each architecture with the weights of the finished search.

    It is tested on the first `IMAGES` validation images, without what is no whole minibatch. A search that judges
    architectures in another way (`Search.judge`) does so here, all of them at once, and nothing is kept.

    Args:
        run: the run; what is scored is kept in it, so that nothing is scored twice.
        plan: its plan.
        ended: the last stage of its search.
        genotypes: architectures.
        stop: asked between two of them.

    Returns:
        Shares, of the supernet's single paths with batch norm by the statistics of each minibatch; an architecture that
        the stage's supernet does not have is left out.

    Raises:
        Interrupted: if the user asked to stop; what was scored is kept.
    """
    known: dict[str, float] = run.read(SCORES) if run.has(SCORES) else {}
    space = ended.stage.search.space
    wanted = [genotype for genotype in dict.fromkeys(genotypes) if representable(space, genotype)]
    own_opinion = judged(plan, ended, wanted)
    if own_opinion is not None:
        return dict(zip(wanted, own_opinion.tolist(), strict=True))
    left = [genotype for genotype in wanted if line(genotype) not in known]
    if left:
        search, state = ended.stage.search, plan.devices.here(ended.state)
        scores = examination(space, *feed(plan, ended, IMAGES).shown(), jax.random.key(0), abreast=1).scores
        for index, genotype in enumerate(left):
            if index % EVERY == 0 and index:
                run.write(SCORES, known)
            if stop.requested:
                run.write(SCORES, known)
                stop.check()
            # Where the supernet was split, the one that holds this architecture.
            own = search.variables(state, genotype)
            paths = single_paths(space.spec, [genotype])
            found, _ = scores(state._replace(params=own.params, stats=own.stats), paths)
            known[line(genotype)] = float(found[0])
        run.write(SCORES, known)
    return {genotype: known[line(genotype)] for genotype in wanted}
