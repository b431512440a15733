"""What came of a study, as plain values: everything that its table, its CSV and its page are made of.

Accuracies are shares, 0 to 1; times are seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dnas.genotype import Genotype

FINISHED, FAILED = "finished", "failed"


@dataclass(frozen=True)
class Ranking:
    """How well the supernet's inherited accuracy ranks architectures, against the truth.

    Attributes:
        count: architectures drawn from the whole space.
        kendall: Kendall's tau-b over them; `None` where one side is constant.
        spearman: Spearman's rank correlation over them.
        top_count: architectures drawn from the space's top decile.
        top_kendall: tau-b over those.
        top_spearman: rank correlation over those.
    """

    count: int
    kendall: float | None
    spearman: float | None
    top_count: int
    top_kendall: float | None
    top_spearman: float | None


@dataclass(frozen=True)
class Epoch:
    """The architecture that a search would have ended with, had it stopped after this epoch.

    Attributes:
        epoch: from 1.
        genotype: its text form.
        score: its true accuracy; `None` without a table.
        skips: how many of its kept edges are skip connections.
        edges: how many edges it keeps.
        valid_accuracy: the supernet's, on validation minibatches.
    """

    epoch: int
    genotype: str
    score: float | None
    skips: int
    edges: int
    valid_accuracy: float


@dataclass(frozen=True)
class Outcome:
    """One run of a study: a method with one seed.

    Attributes:
        arm: what was run, as the user wrote it: a method, perhaps with settings of its own.
        seed: its seed.
        path: its run directory, relative to the study's.
        status: `finished` or `failed`; a failed run has neither genotype nor score.
        note: why it failed; empty otherwise.
        genotype: the found architecture.
        score: the study's measure: true test accuracy, or that of the retrained network where there is no table.
        rank: place in the space, 1 is best; `None` without a table.
        percentile: share of the space that is worse.
        others: true test accuracy on the table's other data sets.
        wall_seconds: of the search (and of retraining, where there was one), without compiling.
        compile_seconds: of the same programs.
        together: whether its seeds ran as one compiled program.
        simulated_seconds: the search's cost in the table's currency; `None` without one.
        epochs: what each epoch would have selected.
        ranking: quality of the supernet's ranking; `None` where it was not asked for.
        random_scores: accuracies of random architectures retrained in the same run, where there is no table.
    """

    arm: str
    seed: int
    path: str
    status: str
    note: str = ""
    genotype: Genotype | None = None
    score: float | None = None
    rank: int | None = None
    percentile: float | None = None
    others: Mapping[str, float] | None = None
    wall_seconds: float = 0.0
    compile_seconds: float = 0.0
    together: bool = False
    simulated_seconds: float | None = None
    epochs: tuple[Epoch, ...] = ()
    ranking: Ranking | None = None
    random_scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class Landmark:
    """An architecture or a statistic of the space that every score can be held against.

    Attributes:
        name: what it is.
        score: its accuracy.
        plain: whether it is an architecture that anyone can write down without a search.
    """

    name: str
    score: float
    plain: bool = False


@dataclass(frozen=True)
class Band:
    """A table-driven baseline over its simulated cost, over many repetitions.

    Attributes:
        name: such as `random search`.
        repeats: how many independent repetitions.
        cost: `(T,)` simulated seconds, ascending.
        mean: `(T,)` mean true accuracy of the architecture held best so far.
        low: `(T,)` 10 % quantile over the repetitions.
        high: `(T,)` 90 % quantile.
    """

    name: str
    repeats: int
    cost: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Truth:
    """What is known of the whole space.

    Attributes:
        dataset: the data set whose test accuracy is the score.
        scores: `(R,)` true accuracy of every architecture.
        landmarks: the optimum, the mean, the all-3x3-convolution network, ...
        bands: baselines over simulated cost; empty where the table has no costs for the searched data set.
        same_cost: mean accuracy of each baseline at the mean simulated cost of an arm: `{arm: {baseline: score}}`.
    """

    dataset: str
    scores: np.ndarray
    landmarks: tuple[Landmark, ...]
    bands: tuple[Band, ...]
    same_cost: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Study:
    """A whole study.

    Attributes:
        name: of its directory.
        space: the search space.
        data: the data set that was searched on.
        measure: what a score is, in words, such as `true test accuracy on cifar10 (NAS-Bench-201, 200 epochs)`.
        arms: in the order that the user gave.
        seeds: ascending.
        outcomes: one for each arm and seed that has a run, arms first.
        truth: `None` without a table.
        settings: settings that all runs share, by dotted name, where they differ from the defaults or matter.
        command: to run it again.
        environment: versions and device, as in a run's config.
    """

    name: str
    space: str
    data: str
    measure: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    outcomes: tuple[Outcome, ...]
    truth: Truth | None
    settings: Mapping[str, object]
    command: str
    environment: Mapping[str, object]
