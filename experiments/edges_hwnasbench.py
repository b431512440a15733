"""Which edges of a network cost something on a device? Tables fitted with edges counted in three ways.

    python experiments/edges_hwnasbench.py --measured DIR/hwnasbench_nb201.npz

For each device of HW-NAS-Bench an additive table is fitted to 200 networks with all edges as they are written, with
those on which an output depends, and with those and what a converter folds (`dnas.hardware.folded`). Errors are those
on all other connected networks that the device can run. `dnas.hardware.fitted` decides by cross-validation on the 200.

Below that, how much networks differ that are the same once those edges are gone, of which there are at least five:
what no table can know. It is the share by which the dearest twentieth exceeds the median of its like, for the cheaper
and the dearer half of such networks.

And how well the shipped profiles' margins hold, at five percentiles of the published latencies: the margin there, the
share of the affordable connected networks that are said to be, and how many of those that are said to be are over the
limit: of all, and of those whose raised prediction is within 10 % below it, where a search ends.

Last comes whether a network that is slower than those that are the same is so again. CIFAR-100's networks differ from
CIFAR-10's in the last layer only, and were measured too: of the cheaper half of such networks, the share that exceeds
the median of its like by more than 20 % in the one, in the other and in both measurements. Where that is no property
of the network, both are about the product.

Results: experiments/results/edges_hwnasbench/edges.txt.
"""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from dnas.hardware.fit import fit, predict, quality
from dnas.hardware.fitted import Networks, fit_networks, rows
from dnas.hardware.hwnasbench import DATASETS, DEVICES, division, read, spaces
from dnas.hardware.model import WRITTEN
from dnas.hardware.shipped import find

ALIKE = 5
SLOW = 0.2
PERCENTILES = (10, 30, 50, 70, 90)


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
                alike.append((device, name, *_alike(form[own.connected], true[own.connected])))
    for device in DEVICES:
        _limits(device, own, costs[device, "latency", dataset], dataset)
    click.echo(f"\n{'device':8} {'alike':>6} {'cheaper half':>13} {'dearer half':>12}")
    for device, _, count, cheaper, dearer in alike:
        click.echo(f"{device:8} {count:6} {cheaper:13.1%} {dearer:12.1%}")
    click.echo(f"\n{'slower':8} {'cifar10':>9} {'cifar100':>10} {'both':>7} {'product':>8}")
    for device, own_edges, *_ in alike:
        times = [costs[device, "latency", dataset] for dataset in ("cifar10", "cifar100")]
        ran = own.connected & ~np.isnan(times[0]) & ~np.isnan(times[1])
        one, other, both = _twice(own.edges[own_edges][ran], [time[ran] for time in times])
        click.echo(f"{device:8} {one:9.1%} {other:10.1%} {both:7.1%} {one * other:8.1%}")


def _twice(form: np.ndarray, times: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Return how often cheap networks are slower than those that are the same: in either measurement, and in both."""
    _, group, size = np.unique(form.reshape(len(form), -1), axis=0, return_inverse=True, return_counts=True)
    medians = [np.array([np.median(time[group == one]) for one in range(len(size))])[group] for time in times]
    common = size[group] >= ALIKE
    cheap = common & (medians[0] < np.median(medians[0][common]))
    one, other = ((time > (1 + SLOW) * median)[cheap] for time, median in zip(times, medians, strict=True))
    return float(one.mean()), float(other.mean()), float((one & other).mean())


def _limits(device: str, own: Networks, true: np.ndarray, dataset: str) -> None:
    """Say how well a shipped profile's margins hold."""
    classes = DATASETS[dataset][0]
    [model] = [one for one in find(device).models if (one.metric, one.network["classes"]) == ("latency", classes)]
    said = predict(own.spec, model.table, own.edges[WRITTEN])
    ran = own.connected & ~np.isnan(true)
    click.echo(
        f"\n{device:8} {'limit':>9} {'margin':>7} {'known to keep it':>17} {'over it':>8} {'right below, over':>18}"
    )
    for percentile in PERCENTILES:
        limit = float(np.nanpercentile(true, percentile))
        raised = said * (1 + model.margin(0.95, limit))
        within = ran & (raised <= limit)
        below = within & (raised > 0.9 * limit)
        shares = (
            within.sum() / (ran & (true <= limit)).sum(),
            _share(true[within] > limit),
            _share(true[below] > limit),
        )
        margin = f"{model.margin(0.95, limit):7.1%}"
        click.echo(f"{percentile:6} % {limit:9.4g} {margin} {shares[0]:17.1%} {shares[1]:8.1%} {shares[2]:18.1%}")


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


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
