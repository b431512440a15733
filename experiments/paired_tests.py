"""Is a method better than another by more than chance? Paired t-tests of studies, seed by seed.

    python experiments/paired_tests.py experiments/results/methods_nasbench201/study*.csv

prints for each method of the studies how much better its true accuracies are than those of `--against`, with the same
seeds, and the two-sided p-value. Where a study repeats a method, its first runs count. With three seeds the power is
small, and with two dozen methods one p-value below 0.05 is what chance alone gives.

Results: experiments/results/methods_nasbench201/paired.txt.
"""

import csv
import math
from pathlib import Path

import click
import numpy as np
from scipy.stats import ttest_rel

from dnas.errors import UserError


@click.command()
@click.argument("studies", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--against", default="darts", show_default=True, help="The method that the others are compared with.")
def paired(studies: tuple[Path, ...], against: str) -> None:
    """Compare the methods of studies with one of them, seed by seed.

    \b
    Example:
      python experiments/paired_tests.py study.csv --against darts
    """
    scores: dict[str, dict[int, float]] = {}
    for path in studies:
        with path.open(newline="", encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                if row["score"]:
                    scores.setdefault(row["arm"], {}).setdefault(int(row["seed"]), float(row["score"]))
    if against not in scores:
        raise click.ClickException(str(UserError(f"--against {against}: expected one of {', '.join(sorted(scores))}")))
    rows = []
    for arm, own in scores.items():
        seeds = sorted(own.keys() & scores[against].keys())
        if arm != against and len(seeds) > 1:
            gains = 100 * np.array([own[seed] - scores[against][seed] for seed in seeds])
            # A method that always finds what the other finds has no spread, and no p-value.
            value = float(ttest_rel([own[seed] for seed in seeds], [scores[against][seed] for seed in seeds]).pvalue)
            rows.append((value, arm, len(seeds), float(gains.mean()), float(gains.std(ddof=1))))
    click.echo(f"{'method':20} {'seeds':>5} {'gain, points':>18} {'p':>7}")
    for value, arm, count, mean, spread in sorted(rows, key=lambda row: math.inf if math.isnan(row[0]) else row[0]):
        name, said = arm.partition("@")[0], "same" if math.isnan(value) else f"{value:7.3f}"
        click.echo(f"{name:20} {count:5} {mean:+9.2f} +- {spread:5.2f} {said}")


if __name__ == "__main__":
    paired()
