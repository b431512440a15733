"""Training one network of a run from scratch, unless that was done before the run was interrupted."""

from typing import Any

import jax

from dnas.checkpoint import save_tree
from dnas.genotype import Genotype
from dnas.run import retrain
from dnas.run.console import Screen
from dnas.run.directory import PROGRESS, RunDirectory
from dnas.run.interrupt import Stop
from dnas.run.loop import run_phase
from dnas.run.planning import Plan, network_of, train_settings

RETRAIN = "retrain"
"""What the training of the found network is called, whose weights are kept."""


def trained(
    run: RunDirectory,
    plan: Plan,
    progress: dict[str, Any],
    name: str,
    title: str,
    genotype: Genotype,
    screen: Screen,
    stop: Stop,
    part: str = "test",
) -> dict[str, Any]:
    """Return what came of a network's training, as `result.json` says it.

    Args:
        run: where its checkpoints are.
        plan: on what it is trained, and how.
        progress: what is done of the run; this is added.
        name: of the phase; the same name is trained once.
        title: what it is called on the screen.
        genotype: its architecture.
        screen: where progress is shown.
        stop: asks to stop.
        part: what the images are called on which it is judged, the test images of `plan`.

    Raises:
        Interrupted: if the user asked to stop.
        Diverged: if a loss became NaN or infinite.
    """
    if name not in progress:
        own = train_settings(plan.config)
        # All networks of a run get the same key, so that they differ by their architecture only.
        prepared = retrain.retraining(
            name,
            title,
            network_of(plan.config, plan.space, genotype),
            plan.dataset,
            plan.images,
            own,
            jax.random.fold_in(plan.key, 1),
            plan.devices,
            plan.space.task,
            part,
        )
        finished = run_phase(prepared.phase, run, screen, stop)
        if name == RETRAIN:
            save_tree(run.path / "model", {"params": finished.state.params, "stats": finished.state.stats})
        progress[name] = retrain.outcome(prepared, finished, plan.dataset, own.epochs)
        run.write(PROGRESS, progress)
    return dict(progress[name])
