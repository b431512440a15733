"""Which edges of a network cost something on a device? Tables fitted with edges counted in three ways.

    python experiments/edges_hwnasbench.py --measured DIR/hwnasbench_nb201.npz

For each device of HW-NAS-Bench an additive table is fitted to 200 networks with all edges as they are written, with
those on which an output depends, and with those and what a converter folds (`dnas.hardware.folded`). Errors are those
on all other connected networks that the device can run. `dnas.hardware.fitted` decides by cross-validation on the 200.

Below that, how much networks differ that are the same once those edges are gone, of which there are at least five:
what no table can know. It is the share by which the dearest twentieth exceeds the median of its like, for the cheaper
and the dearer half of such networks.

Results: experiments/results/edges_hwnasbench/edges.txt.
"""

from pathlib import Path

import click
import numpy as np

from dnas.hardware.fit import fit, predict, quality
from dnas.hardware.fitted import fit_networks, rows
from dnas.hardware.hwnasbench import DEVICES, division, read, spaces
from dnas.hardware.model import WRITTEN

ALIKE = 5


@click.command()
@click.option("--measured", type=click.Path(path_type=Path), required=True, help="HW-NAS-Bench's costs, as .npz.")
@click.option("--dataset", default="cifar10", show_default=True, help="cifar10, cifar100 or imagenet16.")
@click.option("--seed", default=0, show_default=True, help="Decides which networks are fitted.")
def edges(measured: Path, dataset: str, seed: int) -> None:
    """Compare three ways of counting edges, by the error of the latencies that they predict.

    \b
    Example:
      python experiments/edges_hwnasbench.py --measured hwnasbench_nb201.npz
    """
    costs, own = read(measured), rows(*spaces())
    alike = []
    click.echo(f"{'device':8} {'edges':8} {'Spearman':>9} {'Kendall':>8} {'MAPE':>7} {'95 %':>7} {'99 %':>7}  chosen")
    for device in DEVICES:
        true = costs[device, "latency", dataset]
        fitted, others = division(own, ~np.isnan(true), 200, seed)
        others = others[own.connected[others]]
        chosen = fit_networks(own.of(fitted), true[fitted]).edges
        for name, form in own.edges.items():
            table = fit(own.spec, form[fitted], true[fitted])
            said = quality(true[others], predict(own.spec, table, form[others]))
            click.echo(
                f"{device:8} {name:8} {said.spearman:9.4f} {said.kendall:8.4f} {said.mape:7.1%} "
                f"{said.margins['0.95']:7.1%} {said.margins['0.99']:7.1%}  {'*' if name == chosen else ''}"
            )
            if name == chosen != WRITTEN:
                alike.append((device, *_alike(form[own.connected], true[own.connected])))
    click.echo(f"\n{'device':8} {'alike':>6} {'cheaper half':>13} {'dearer half':>12}")
    for device, count, cheaper, dearer in alike:
        click.echo(f"{device:8} {count:6} {cheaper:13.1%} {dearer:12.1%}")


def _alike(form: np.ndarray, true: np.ndarray) -> tuple[int, float, float]:
    """Return how many networks have at least five like them, and how far the dearest twentieth exceeds the median."""
    known = ~np.isnan(true)
    _, places, counts = np.unique(form[known], axis=0, return_inverse=True, return_counts=True)
    medians = np.array([np.median(true[known][places == place]) for place in range(len(counts))])[places]
    some = counts[places] >= ALIKE
    excess, medians = (true[known] / medians - 1)[some], medians[some]
    cheap = medians <= np.median(medians)
    return int(some.sum()), *(float(np.quantile(excess[part], 0.95)) for part in (cheap, ~cheap))


if __name__ == "__main__":
    edges()
