"""Which edges of a network cost something on a device? Tables fitted with edges counted in three ways.

    python experiments/edges_hwnasbench.py --measured DIR/hwnasbench_nb201.npz

For each device of HW-NAS-Bench an additive table is fitted to 200 networks with all edges as they are written, with
those on which an output depends, and with those and what a converter folds (`dnas.hardware.folded`). Errors are those
on all other connected networks that the device can run. `dnas.hardware.fitted` decides by cross-validation on the 200.

Results: experiments/results/edges_hwnasbench/edges.txt.
"""

from pathlib import Path

import click
import numpy as np

from dnas.hardware.fit import fit, predict, quality
from dnas.hardware.fitted import fit_networks, rows
from dnas.hardware.hwnasbench import DEVICES, division, read, spaces


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


if __name__ == "__main__":
    edges()
