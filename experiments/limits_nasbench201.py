"""Does a limited search keep its limit on the real device, and is what it finds any good? NAS-Bench-201, two devices.

    python experiments/limits_nasbench201.py --data-dir DIR --table DIR/nb201.npz --measured DIR/hwnasbench_nb201.npz

One supernet a seed serves all devices and limits. `dnas pareto` trains it (`--method spos`, 8 channels, 1 cell a stage,
all of CIFAR-10 at half its size: 25,000 images for the weights, 25,000 to compare architectures), and draws a front for
each device on the way. Then, for each device, five limits between the 10th and the 90th percentile of the published
latencies: an evolutionary search by the supernet's validation accuracy among architectures that the shipped profile,
raised by its margin, says are within the limit. The network that is kept is then looked up: its *measured* latency
(HW-NAS-Bench, on which the profile was fitted with 200 networks) and its true accuracy (NAS-Bench-201), against ten
random networks within the same limit and the best network within it.

Four rules choose what is kept. Of the architectures that the supernet scored: the highest accuracy, which is what
`spos` keeps; and, of all whose accuracy is within one standard error of the highest, the one with the most
multiply-adds. And without a supernet, what `zero_cost` keeps, in a network of the published size with the weights that
it begins with, from one minibatch of 32 images: the smallest sum of ranks by synflow, jacob_cov and multiply-adds, in
an evolutionary search for each limit. And of the ten networks that this search thinks most of, the one with the highest
validation accuracy after 12 epochs of training alone, which is `finalists.count=10`. NAS-Bench-201 has published
these trainings, and they are looked up; what they cost there is in the CSV file, in seconds of its GPU.

Last comes what no search can do better than: in how many of 1,000 draws of ten random networks within a limit the best
network that the raised profile knows to be within it is more accurate than all ten. `--seeds 0` prints nothing else.

`--no-supernets` leaves out the first two rules, and needs minutes instead of an hour. What was stopped goes on where it
was when the command is repeated.

Results, in experiments/results/limits_nasbench201/, and what they say: see README, "A limit for your device".
"""

import csv
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import jax
import jax.numpy as jnp
import numpy as np

from dnas.benchmarks import nasbench201 as benchmark
from dnas.data import load
from dnas.genotype import Genotype
from dnas.hardware.charge import charged
from dnas.hardware.limits import Limit
from dnas.hardware.live import connected, live
from dnas.hardware.model import CostModel
from dnas.hardware.shipped import find
from dnas.methods.zero_cost import proxy_scores
from dnas.objectives.augmented_lagrangian import augmented_lagrangian
from dnas.pareto.candidates import price_of, stratified
from dnas.pareto.run import pareto
from dnas.pareto.score import IMAGES, supernet_accuracies
from dnas.proxies import jacob_cov, synflow
from dnas.run import pipeline
from dnas.run.console import Screen
from dnas.run.interrupt import Stop
from dnas.selection.evolution import Evolution, Scores, evolve
from dnas.table import Table
from search_spaces import nasbench201

PERCENTILES = (10, 30, 50, 70, 90)
RANDOM, DRAWS = 10, 1000
EVOLUTION = Evolution(population=40, generations=3)
PROXY_EVOLUTION = Evolution(population=50, generations=10)
"""As `zero_cost` has it."""
SETTINGS = (
    "search.batch_size=32",
    "search.weight_lr=0.05",
    "search.weight_lr_min=0.0001",
    "search.weight_decay=0.0001",
    "search.flip=true",
    "search.generations=4",
    "search.images=1000",
    "search.chunk_steps=0",
    "search.checkpoint_epochs=5",
)
BY_SUPERNET, BY_PROXIES = ("highest accuracy", "largest of equals"), ("zero-cost proxies", "ten finalists")
FINALISTS, SHORTLY = 10, 12
"""Networks that are trained before one is kept, and for how many epochs."""
PROXIES, SHOWN = (synflow, jacob_cov), 32


class Truth(NamedTuple):
    """What is published: accuracies and multiply-adds of all architectures, and their latencies on a device."""

    table: Table
    accuracy: np.ndarray
    macs: np.ndarray
    latency: np.ndarray


@click.command()
@click.option("--data-dir", help="Folder of downloaded data sets.  [default: $DNAS_DATA]")
@click.option("--table", type=click.Path(path_type=Path), required=True, help="NAS-Bench-201's accuracies.")
@click.option("--measured", type=click.Path(path_type=Path), required=True, help="HW-NAS-Bench's latencies, as .npz.")
@click.option("--devices", default="raspi4,edgegpu", show_default=True, help="Shipped profiles.")
@click.option("--seeds", default=3, show_default=True, help="Supernets.")
@click.option("--epochs", default=40, show_default=True, help="Epochs of each supernet.")
@click.option("--refine", default=200, show_default=True, help="Random architectures that each supernet scores.")
@click.option("--confidence", default=0.95, show_default=True, help="Share of networks that keep the raised limit.")
@click.option("--supernets/--no-supernets", default=True, show_default=True, help="Train supernets, or proxies only.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("limits"), show_default=True, help="Supernets.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("limits.csv"), show_default=True, help="CSV.")
def limits(
    data_dir: str | None,
    table: Path,
    measured: Path,
    devices: str,
    seeds: int,
    epochs: int,
    refine: int,
    confidence: float,
    supernets: bool,
    folder: Path,
    out: Path,
) -> None:
    """Search within limits on NAS-Bench-201 and hold what is found against published measurements.

    \b
    Example:
      python experiments/limits_nasbench201.py --table nb201.npz --measured hwnasbench_nb201.npz --seeds 1
    """
    names = devices.split(",")
    folder.mkdir(parents=True, exist_ok=True)
    for device in names if supernets else ():
        pareto(
            "nasbench201",
            "spos",
            seeds,
            folder / f"front-{device}",
            hardware=device,
            refine=refine,
            data=f"npz:{_images(data_dir, folder / 'cifar10-16x16.npz')}",
            settings=(f"search.epochs={epochs}", *SETTINGS),
            truth="cifar10",
            table=table,
            runs=folder / "supernets",
            command="experiments/limits_nasbench201.py",
        )
    known = benchmark.load(table)
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        scores = _supernet(folder / "supernets" / f"seed-{seed}") if supernets else None
        scored = _first(scores, names, seed, refine) if scores else {}
        by_proxies = _proxies(seed, data_dir, folder / f"proxies-{seed}.json")
        for device in names:
            truth = _truth(known, device, measured)
            for percentile in PERCENTILES:
                begin = time.perf_counter()
                limit = float(np.percentile(truth.latency, percentile))
                rng = np.random.default_rng([seed, percentile, names.index(device)])
                asked = {"device": device, "percentile": percentile, "limit_ms": limit, "seed": seed}
                kept: dict[str, tuple[Genotype, float]] = {}
                if scores:
                    found = _within(_model(device), limit, confidence, scores, scored, rng, EVOLUTION)
                    scored |= found
                    kept |= {rule: (one, 0.0) for rule, one in zip(BY_SUPERNET, _kept(found, truth), strict=True)}
                ranked = _within(_model(device), limit, confidence, by_proxies, {}, rng, PROXY_EVOLUTION)
                kept |= dict(zip(BY_PROXIES, ((next(iter(ranked)), 0.0), _best_trained(ranked, truth)), strict=True))
                asked["seconds"] = time.perf_counter() - begin
                for rule, (one, training) in kept.items():
                    rivals = np.random.default_rng([seed, percentile])
                    rows.append({**asked, "rule": rule, "gpu_seconds": training, **_judged(one, truth, limit, rivals)})
                    click.echo(_line(rows[-1]))
                _write(rows, out)
    _summary(rows)
    for device in names:
        _ceilings(device, _truth(known, device, measured), confidence)


def _truth(known: Table, device: str, measured: Path) -> Truth:
    with np.load(measured) as arrays:
        latency = np.asarray(arrays[f"cifar10__{device}_latency"], np.float64)
    return Truth(known, known.scores("cifar10"), known.macs["cifar10"], latency)


def _images(data_dir: str | None, path: Path) -> Path:
    """Write CIFAR-10 at half its size, once."""
    if not path.is_file():
        whole = load("cifar10", data_dir)
        path.parent.mkdir(parents=True, exist_ok=True)
        x_train, x_test = (
            np.rint(x.reshape(-1, 16, 2, 16, 2, 3).mean((2, 4))).astype(np.uint8) for x in (whole.x_train, whole.x_test)
        )
        np.savez(path, x_train=x_train, y_train=whole.y_train, x_test=x_test, y_test=whole.y_test)
    return path


def _model(device: str) -> CostModel:
    return next(one for one in find(device).models if one.metric == "latency" and one.network["classes"] == 10)


def _supernet(path: Path) -> Callable[[Sequence[Genotype]], np.ndarray]:
    """Return what scores architectures by a trained supernet, and remembers in its directory what it scored."""
    run, plan = pipeline.reopen(path, None, Screen())
    ended = pipeline.searched(run, plan)[-1]

    def scores(genotypes: Sequence[Genotype]) -> np.ndarray:
        own = supernet_accuracies(run, plan, ended, genotypes, Stop())
        return np.array([own[one] for one in genotypes])

    return scores


def _proxies(seed: int, data_dir: str | None, path: Path) -> Scores:
    """Return what scores architectures by proxies in an untrained supernet, and remembers in a file what it scored."""
    space = nasbench201.space(classes=10)
    whole = load("cifar10", data_dir)
    chosen = np.random.default_rng(seed).choice(len(whole.x_train), SHOWN, replace=False)
    x = (jnp.asarray(whole.x_train[chosen], jnp.float32) / 255 - jnp.array(whole.mean)) / jnp.array(whole.std)
    variables = jax.jit(space.init)(jax.random.key(seed), x)
    ask = proxy_scores(space, PROXIES, "macs", variables, x)
    known: dict[str, list[float]] = json.loads(path.read_text()) if path.is_file() else {}

    def scores(genotypes: Sequence[Genotype]) -> np.ndarray:
        own = {nasbench201.to_string(live(space.spec, one)): one for one in genotypes}
        fresh = {name: one for name, one in own.items() if name not in known}
        if fresh:
            known.update(zip(fresh, ask(list(fresh.values())).tolist(), strict=True))
            unfinished = path.with_suffix(".unfinished")
            unfinished.write_text(json.dumps(known))
            unfinished.replace(path)
        return np.array([known[nasbench201.to_string(live(space.spec, one))] for one in genotypes])

    return scores


def _first(
    scores: Callable[[Sequence[Genotype]], np.ndarray], devices: Sequence[str], seed: int, count: int
) -> dict[Genotype, float]:
    """Return random architectures, spread over the costs on each device, with their scores."""
    space = nasbench201.space(classes=10)
    drawn: dict[Genotype, None] = {}
    for device in devices:
        price = price_of(space, _model(device).fitting(space.name, space.spec))
        drawn |= dict.fromkeys(stratified(space, price, np.random.default_rng([seed, 3]), count))
    return dict(zip(drawn, scores(list(drawn)).tolist(), strict=True))


def _within(
    model: CostModel,
    limit: float,
    confidence: float,
    scores: Scores,
    scored: Mapping[Genotype, Any],
    rng: np.random.Generator,
    evolution: Evolution,
) -> dict[Genotype, Any]:
    """Return the architectures within a limit that were scored, the best first."""
    space = nasbench201.space(classes=10, channels=8, cells=1)
    own = [Limit(0, model.title, limit)]
    space = charged(space, [model], own, augmented_lagrangian([limit]), confidence=confidence)
    return evolve(space, scores, rng, evolution, scored)


def _kept(found: Mapping[Genotype, float], truth: Truth) -> tuple[Genotype, Genotype]:
    """Return what each of `RULES` keeps of scored architectures, of which the best come first."""
    best = next(iter(found))
    error = np.sqrt(found[best] * (1 - found[best]) / IMAGES)
    equals = [one for one, score in found.items() if score >= found[best] - error]
    spec = nasbench201.space(classes=10).spec
    # What no output depends on makes no network larger.
    return best, max(equals, key=lambda one: truth.macs[truth.table.row(live(spec, one))])


def _best_trained(ranked: Mapping[Genotype, Any], truth: Truth) -> tuple[Genotype, float]:
    """Return the best of the first different networks after a short training, and the seconds of all trainings."""
    spec, accuracy = nasbench201.space(classes=10).spec, truth.table.scores("cifar10", SHORTLY, "val")
    different: dict[Genotype, Genotype] = {}
    for one in ranked:
        different.setdefault(live(spec, one), one)
    finalists = list(different.values())[:FINALISTS]
    numbers = [truth.table.row(one) for one in finalists]
    best = max(range(len(finalists)), key=lambda place: accuracy[numbers[place]])
    return finalists[best], float(truth.table.seconds["cifar10", SHORTLY][numbers].sum())


def _judged(genotype: Genotype, truth: Truth, limit: float, rng: np.random.Generator) -> dict[str, Any]:
    index, accuracy = truth.table.row(genotype), truth.accuracy
    feasible = np.flatnonzero((truth.latency <= limit) & (truth.latency >= 0))
    rivals = rng.choice(feasible, RANDOM, replace=False)
    return {
        "architecture": nasbench201.to_string(genotype),
        "measured_ms": truth.latency[index],
        "within": bool(truth.latency[index] <= limit),
        "accuracy": accuracy[index],
        "median_within": np.median(accuracy[feasible]),
        "best_of_random": accuracy[rivals].max(),
        "best_within": accuracy[feasible].max(),
        "regret": accuracy[feasible].max() - accuracy[index],
    }


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['device']} at most {row['limit_ms']:.2f} ms, seed {row['seed']}, {row['rule']}: measured "
        f"{row['measured_ms']:.2f} ms, {'within' if row['within'] else 'OVER'}; accuracy "
        f"{100 * row['accuracy']:.2f} %, median {100 * row['median_within']:.2f} %, best of {RANDOM} random "
        f"{100 * row['best_of_random']:.2f} %, best within {100 * row['best_within']:.2f} %"
    )


def _write(rows: list[dict[str, Any]], out: Path) -> None:
    unfinished = out.with_name(f".{out.name}.unfinished")
    with unfinished.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    unfinished.replace(out)


def _ceilings(device: str, truth: Truth, confidence: float) -> None:
    spec, table = nasbench201.space(classes=10).spec, truth.table
    model = _model(device).fitting("nasbench201", spec)
    alive = np.array([connected(spec, one) for one in table.architectures])
    said = np.array([model.written(spec, one) for one in table.architectures])
    for percentile in PERCENTILES:
        limit, rng = float(np.percentile(truth.latency, percentile)), np.random.default_rng(percentile)
        best = truth.accuracy[alive & (said <= limit / (1 + model.margin(confidence, limit)))].max()
        feasible = np.flatnonzero((truth.latency <= limit) & (truth.latency >= 0))
        above = [best > truth.accuracy[rng.choice(feasible, RANDOM, replace=False)].max() for _ in range(DRAWS)]
        click.echo(
            f"{device} at most {limit:.2f} ms: the best that is known to be within has {100 * best:.2f} %, above the "
            f"best of {RANDOM} random in {100 * np.mean(above):.0f} %"
        )


def _summary(rows: list[dict[str, Any]]) -> None:
    for device in dict.fromkeys(row["device"] for row in rows):
        for rule in dict.fromkeys(row["rule"] for row in rows):
            own = [row for row in rows if row["device"] == device and row["rule"] == rule]
            count = len(own)
            click.echo(
                f"{device}, {rule}: within the limit {sum(row['within'] for row in own)} of {count}; above the median "
                f"of what is within {sum(row['accuracy'] > row['median_within'] for row in own)}; above the best of "
                f"{RANDOM} random {sum(row['accuracy'] > row['best_of_random'] for row in own)}; mean regret "
                f"{100 * np.mean([row['regret'] for row in own]):.2f} points"
            )


if __name__ == "__main__":
    limits()
