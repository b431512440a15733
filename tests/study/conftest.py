"""Made-up but plausible studies over a made-up space."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dnas.genotype import Cell, Edge, Genotype
from dnas.study.record import (
    FAILED,
    FINISHED,
    Band,
    Epoch,
    Landmark,
    Outcome,
    Ranking,
    Study,
    Truth,
)

SKIP, CONV, POOL, NONE = "skip_connect", "nor_conv_3x3", "avg_pool_3x3", "none"
ARMS = ("darts", "darts@search.alpha_lr=0.003", "gdas")
FALLEN = 0.5430
MEASURE = "true test accuracy on cifar10 (made up)"


def architecture(*ops):
    """A cell of six edges as in NAS-Bench-201: three nodes, each fed by every earlier state."""
    nodes = ((0, 1), (1, 3), (3, 6))
    cells = tuple(tuple(Edge(op, source) for source, op in enumerate(ops[a:b])) for a, b in nodes)
    return Genotype("nasbench201", (("cell", Cell(cells, (3,))),))


ALL_SKIPS = architecture(*[SKIP] * 6)
GOOD = architecture(CONV, NONE, CONV, SKIP, CONV, CONV)
OTHER = architecture(CONV, SKIP, CONV, SKIP, POOL, CONV)


def made_up_space(size=2000):
    """Accuracies with the shape of NAS-Bench-201's: crowded near the top, a long tail, some that learn nothing."""
    rng = np.random.default_rng(7)
    error = 0.056 + 0.30 * rng.beta(1.1, 6.5, size)
    error[: size // 25] = 0.9
    error[size // 25 : size // 10] = rng.uniform(0.25, 0.6, size // 10 - size // 25)
    return 1 - error


def made_up_truth(arms=ARMS):
    """The space with landmarks, two baselines over cost, and what they reach at the arms' cost."""
    scores = made_up_space()
    cost = np.geomspace(100, 400_000, 60)
    bands = []
    for name, speed in (("random search", 9000), ("regularised evolution", 4000)):
        mean = scores.max() - 0.07 / (1 + (cost / speed) ** 0.6)
        bands.append(Band(name, 500, cost, mean, mean - 0.03 / (1 + cost / 2000), np.minimum(mean + 0.004, 0.944)))
    landmarks = (
        Landmark("optimum", float(scores.max())),
        Landmark("all 3x3 convolutions", 0.9360, plain=True),
        Landmark("mean of the space", float(scores.mean())),
        Landmark("all skip connections", FALLEN, plain=True),
    )
    same_cost = {
        arm: {"random search": 0.9320 + 0.001 * i, "regularised evolution": 0.9365} for i, arm in enumerate(arms)
    }
    return Truth("cifar10", scores, landmarks, tuple(bands), same_cost)


def made_up_epochs(index, seed, epochs, final, truth):
    """Arm 0 climbs, then collapses to skip connections; the others climb and stay."""
    rng = np.random.default_rng([index, seed])
    for number in range(1, epochs + 1):
        share = number / epochs
        falls = index % 3 == 0 and share > 0.55 + 0.05 * seed
        skips = 6 if falls and share > 0.8 else 4 if falls else int(rng.integers(0, 3))
        score = FALLEN if skips == 6 else 0.885 if falls else 0.915 + 0.02 * share - 0.01 * rng.random()
        yield Epoch(
            epoch=number,
            genotype=f"cell: epoch {number}",
            score=None if not truth else final if number == epochs else float(score),
            skips=6 if number == epochs and index % 3 == 0 else skips,
            edges=6,
            valid_accuracy=float(0.88 - 0.5 * math.exp(-5 * share) + 0.01 * rng.random() - 0.02 * index),
        )


def made_up_outcome(arm, index, seed, *, epochs, truth):
    """A finished run; `truth` is the space's accuracies or `None`."""
    rng = np.random.default_rng([1, index, seed])
    genotype = ALL_SKIPS if index % 3 == 0 else GOOD if index == 2 and seed < 2 else OTHER
    score = {ALL_SKIPS: FALLEN, OTHER: 0.9321, GOOD: 0.9388}[genotype]
    known = truth is not None
    return Outcome(
        arm=arm,
        seed=seed,
        path=f"runs/{index}-{seed}",
        status=FINISHED,
        genotype=genotype,
        score=score if known else round(0.95 + 0.01 * float(rng.random()), 4),
        rank=int((truth > score).sum()) + 1 if known else None,
        percentile=float((truth < score).mean()) if known else None,
        others={"cifar100": score - 0.21, "ImageNet16-120": score - 0.48} if known else None,
        wall_seconds=612.4 + seed,
        compile_seconds=31.5,
        together=index % 2 == 0,
        simulated_seconds=8000.0 * (index + 1) + 100 * seed if known else None,
        epochs=tuple(made_up_epochs(index, seed, epochs, score, known)),
        ranking=Ranking(200, 0.41 + 0.02 * seed, 0.58, 200, 0.05 - 0.04 * seed, None) if known else None,
        random_scores=() if known else tuple(round(0.945 + 0.008 * float(rng.random()), 4) for _ in range(2)),
    )


@pytest.fixture
def make_study():
    """Return a function that makes up a study: `make_study(arms, seeds, truth=..., failed=..., epochs=...)`.

    `failed` holds `(arm, seed)` pairs; further keywords replace fields of the study.
    """

    def make(arms=ARMS, seeds=(0, 1, 2), *, truth=True, failed=(), epochs=30, **fields):
        known = made_up_truth(arms) if truth else None
        space = known.scores if known else None
        outcomes = [
            Outcome(arm, seed, f"runs/{index}-{seed}", FAILED, note="diverged: the loss is NaN\nat step 12")
            if (arm, seed) in failed
            else made_up_outcome(arm, index, seed, epochs=epochs, truth=space)
            for index, arm in enumerate(arms)
            for seed in seeds
        ]
        study = Study(
            name="nasbench201-cifar10",
            space="nasbench201",
            data="cifar10",
            measure=MEASURE if truth else "test accuracy of the retrained network on digits",
            arms=tuple(arms),
            seeds=tuple(seeds),
            outcomes=tuple(outcomes),
            truth=known,
            settings={"search.epochs": epochs, "search.batch_size": 64, "space.channels": 16, "data_dir": None},
            command=f"dnas study --space nasbench201 --methods {','.join(arms)} --seeds {len(seeds)} --data cifar10",
            environment={"dnas": "0.1.0", "jax": "0.10.2", "device": "cpu: cpu", "git_commit": "0123456789abcdef"},
        )
        return replace(study, **fields)

    return make


@pytest.fixture
def scored():
    """Return a function that makes a study of nothing but scores: `scored({"a": [0.9, 0.8], "b": [0.7, None]})`.

    The seeds count from 0; `None` is a failed run.
    """

    def make(table):
        outcomes = tuple(
            Outcome(arm, seed, "", FAILED)
            if score is None
            else Outcome(arm, seed, "", FINISHED, score=score, genotype=GOOD)
            for arm, scores in table.items()
            for seed, score in enumerate(scores)
        )
        seeds = tuple(range(max(map(len, table.values()))))
        return Study("s", "nasbench201", "d", "score", tuple(table), seeds, outcomes, None, {}, "", {})

    return make
