"""How well a search ranks architectures: its supernet's accuracy with inherited weights, or its own opinion
(`Search.judge`), against the truth.

Architectures are drawn from all that the supernet holds, and again from their top decile, where the choice is made.
Each is the one-hot supernet (the same function as the derived network with inherited weights), with batch norm by the
statistics of the minibatch, because the running ones are those of the mixture.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from dnas.chunks import DeviceData
from dnas.compiling import compiler_options
from dnas.data.augment import normalise
from dnas.data.dataset import Dataset
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.macs import count_macs
from dnas.run.judging import judged
from dnas.run.pipeline import Ended
from dnas.run.planning import Plan
from dnas.run.searching import Searching
from dnas.selection import one_hot
from dnas.table import Table
from dnas.types import Array, Batch, Batches, SearchSpace, Variables, Weights

IMAGES, BATCH = 500, 250
"""Validation images on which each architecture is tested, and how many of them at a time."""
TOP = 0.1


def rank_quality(plan: Plan, ended: Sequence[Ended], table: Table, dataset: str, count: int) -> dict[str, Any]:
    """Return what a study wants to know of a finished search beside its architecture, as JSON values.

    Args:
        plan: the run's plan.
        ended: the stages of its search.
        table: the space's true accuracies.
        dataset: the column that counts.
        count: architectures to draw from the space and from its top decile; 0 draws none.

    Returns:
        `step_macs`: multiply-adds of one search step, the mean over all of them, what happens between epochs left out;
        `ranking`: `of`, the drawn rows of the table with their inherited accuracies (`all`, `top`), and the
        correlations.
    """
    (search, phase, _), state = ended[-1]
    about: dict[str, Any] = {"step_macs": step_macs(plan, ended)}
    if not count:
        return about
    truth = table.scores(dataset)
    images, _, valid_rows = phase.arguments[1:]
    shown = np.asarray(valid_rows)[:IMAGES]
    ranking: dict[str, Any] = {"of": count, "images": len(shown)}
    able = np.array([row for row, one in enumerate(table.architectures) if representable(search.space, one)])
    for index, (name, rows) in enumerate((("all", able), ("top", able[top_rows(truth[able])]))):
        rng = np.random.default_rng([plan.config.seed, 2, index])
        drawn = rng.choice(rows, min(count, len(rows)), replace=False)
        genotypes = [table.genotype(int(row)) for row in drawn]
        own = judged(plan, ended[-1], genotypes)
        if own is None:
            own = inherited_accuracy(
                search.space, partial(search.variables, state), genotypes, images, shown, plan.dataset
            )
        ranking[name] = {"rows": drawn.tolist(), "inherited": own.tolist(), **correlations(own, truth[drawn])}
    return {**about, "ranking": ranking}


def inherited_accuracy(
    space: SearchSpace,
    variables: Callable[[Genotype], Variables],
    genotypes: list[Genotype],
    images: DeviceData,
    rows: np.ndarray,
    dataset: Dataset,
) -> np.ndarray:
    """Return the `(N,)` accuracy of each architecture with the supernet's weights, by one compiled program.

    Args:
        space: the space.
        variables: `(genotype) -> Variables` of the trained supernet that an architecture is a part of.
        genotypes: N architectures.
        images: images on the device.
        rows: which of them to test on.
        dataset: gives mean and standard deviation.
    """
    batch = min(BATCH, len(rows))
    batches = jnp.asarray(rows[: len(rows) // batch * batch].reshape(-1, batch))

    def accuracy(variables: Variables, images: DeviceData, one: Weights) -> Array:
        def count(chosen: Array) -> Array:
            x = normalise(images.x[chosen], dataset.mean, dataset.std)
            logits, _ = space.apply(variables, one, x, train=True)
            return jnp.mean(jnp.argmax(logits, axis=-1) == images.y[chosen])

        return jax.lax.map(count, batches).mean()

    run = jax.jit(accuracy, compiler_options=compiler_options())
    each = [run(variables(genotype), images, one_hot(space.spec, genotype)) for genotype in genotypes]
    return np.array(each, np.float64)


def representable(space: SearchSpace, genotype: Genotype) -> bool:
    """Return whether a supernet holds an architecture: on any edge it may have fewer operations than the table."""
    try:
        one_hot(space.spec, genotype)
    except UserError:
        return False
    return True


def top_rows(truth: np.ndarray) -> np.ndarray:
    """Return the rows of the best tenth of the space."""
    return np.argsort(-truth, kind="stable")[: max(1, math.ceil(TOP * len(truth)))]


def correlations(estimate: np.ndarray, truth: np.ndarray) -> dict[str, float | None]:
    """Return Kendall's tau-b and Spearman's rho; `None` where one side is constant or has fewer than two values."""
    if len(truth) < 2 or np.ptp(estimate) == 0 or np.ptp(truth) == 0:
        return {"kendall": None, "spearman": None}
    return {
        "kendall": float(stats.kendalltau(estimate, truth).statistic),
        "spearman": float(stats.spearmanr(estimate, truth).statistic),
    }


def step_macs(plan: Plan, ended: Sequence[Ended]) -> int:
    """Return the multiply-adds of one search step, both levels, forward and backward, counted from shapes.

    Where a search has several stages it is the mean over their steps, except those that were taken back.
    """
    total = taken = 0
    for stage, state in ended:
        steps = max(0, int(state.step) - taken)
        total, taken = total + steps * _stage_macs(plan, stage), int(state.step)
    return round(total / max(1, taken))


def _stage_macs(plan: Plan, stage: Searching) -> int:
    size, shape = stage.phase.images_per_step // 2, plan.dataset.image_shape
    state = jax.eval_shape(stage.search.init, plan.key, jax.ShapeDtypeStruct((2, *shape), jnp.float32))
    batch = jax.eval_shape(lambda: Batch(jnp.zeros((size, *shape)), jnp.zeros((size,), jnp.int32)))
    return count_macs(stage.search.step, state, Batches(batch, batch))
