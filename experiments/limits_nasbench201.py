"""Does a limited search keep its limit on the real device, and is what it finds any good? NAS-Bench-201, two devices.

    python experiments/limits_nasbench201.py --data-dir DIR --table DIR/nb201.npz --measured DIR/hwnasbench_nb201.npz

For each device, five limits between the 10th and the 90th percentile of the published latencies and three seeds:
`dnas.sdarts` on a supernet of 4 channels and 1 cell a stage, on the first 4,096 training images of
CIFAR-10 at half their size, 8 epochs, with the limit on the shipped profile's prediction at the given confidence. The
network that is kept is then looked up: its *measured* latency (HW-NAS-Bench, on which the profile was fitted with 200
networks) and its true accuracy (NAS-Bench-201), against ten random networks within the same limit and the best network
within it.

Results, in experiments/results/limits_nasbench201/, and what they say: see README, "A limit for your device".
"""

import csv
import time
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np

import dnas
from dnas.benchmarks import nasbench201 as benchmark
from dnas.compiling import compiler_options
from dnas.data import load
from dnas.hardware.charge import charged
from dnas.hardware.limits import Limit
from dnas.hardware.shipped import find
from dnas.objectives.augmented_lagrangian import augmented_lagrangian
from search_spaces import nasbench201

IMAGES, EPOCHS, BATCH, CHANNELS, ALPHA_LR = 4096, 8, 64, 4, 0.01
PERCENTILES = (10, 30, 50, 70, 90)
RANDOM = 10


@click.command()
@click.option("--data-dir", help="Folder of downloaded data sets.  [default: $DNAS_DATA]")
@click.option("--table", type=click.Path(path_type=Path), required=True, help="NAS-Bench-201's accuracies.")
@click.option("--measured", type=click.Path(path_type=Path), required=True, help="HW-NAS-Bench's latencies, as .npz.")
@click.option("--devices", default="raspi4,edgegpu", show_default=True, help="Shipped profiles.")
@click.option("--seeds", default=3, show_default=True, help="Seeds of each limit.")
@click.option("--confidence", default=0.95, show_default=True, help="Share of networks that keep the raised limit.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("limits.csv"), show_default=True, help="CSV.")
def limits(
    data_dir: str | None, table: Path, measured: Path, devices: str, seeds: int, confidence: float, out: Path
) -> None:
    """Search within limits on NAS-Bench-201 and hold what is found against published measurements.

    \b
    Example:
      python experiments/limits_nasbench201.py --table nb201.npz --measured hwnasbench_nb201.npz --seeds 1
    """
    x, y = _images(data_dir)
    accuracy = benchmark.load(table).scores("cifar10")
    rows = []
    for device in devices.split(","):
        with np.load(measured) as arrays:
            true = np.asarray(arrays[f"cifar10__{device}_latency"], np.float64)
        model = next(one for one in find(device).models if one.metric == "latency" and one.network["classes"] == 10)
        for percentile in PERCENTILES:
            limit = float(np.percentile(true, percentile))
            space = nasbench201.space(classes=10, channels=CHANNELS, cells=1)
            own = [Limit(0, model.title, limit)]
            space = charged(space, [model], own, augmented_lagrangian([limit]), confidence=confidence)
            run = _search(space, x, y)
            for seed in range(seeds):
                begin = time.perf_counter()
                index = nasbench201.index(run(seed))
                row = _judged(index, true, accuracy, limit, np.random.default_rng([seed, percentile]))
                row = {"device": device, "percentile": percentile, "limit_ms": limit, "seed": seed, **row}
                row |= {"predicted_ms": model.predict(space.spec, nasbench201.from_index(index))}
                rows.append(row | {"seconds": time.perf_counter() - begin})
                click.echo(_line(row))
    _write(rows, out)
    _summary(rows)


def _images(data_dir: str | None) -> tuple[jax.Array, jax.Array]:
    """Return normalised images at half their size, `(N, 16, 16, 3)`, and labels."""
    whole = load("cifar10", data_dir)
    x = whole.x_train[:IMAGES].reshape(IMAGES, 16, 2, 16, 2, 3).mean((2, 4), dtype=np.float32) / 255
    x = (x - np.asarray(whole.mean)) / np.asarray(whole.std)
    return jnp.asarray(x, jnp.float32), jnp.asarray(whole.y_train[:IMAGES])


def _search(space: dnas.SearchSpace, x: jax.Array, y: jax.Array) -> Any:
    """Return `(seed) -> Genotype`: one compiled program for all seeds."""
    steps = IMAGES // 2 // BATCH
    search = dnas.sdarts(space, epochs=EPOCHS, steps_per_epoch=steps, alpha_lr=ALPHA_LR)

    def whole(key: jax.Array) -> dnas.SearchState:
        key_init, key_split, key_order = jax.random.split(key, 3)
        halves = jax.random.permutation(key_split, IMAGES).reshape(2, -1)

        def epoch(state: dnas.SearchState, key: jax.Array) -> tuple[dnas.SearchState, None]:
            orders = jax.vmap(jax.random.permutation)(jax.random.split(key), halves)
            batches = orders[:, : steps * BATCH].reshape(2, steps, BATCH).swapaxes(0, 1)

            def step(state: dnas.SearchState, chosen: jax.Array) -> tuple[dnas.SearchState, None]:
                train, valid = (dnas.Batch(x[part], y[part]) for part in chosen)
                return search.step(state, dnas.Batches(train, valid))[0], None

            return jax.lax.scan(step, state, batches)

        return jax.lax.scan(epoch, search.init(key_init, x[:2]), jax.random.split(key_order, EPOCHS))[0]

    compiled = jax.jit(whole, compiler_options=compiler_options())
    return lambda seed: search.select(compiled(jax.random.key(seed)))


def _judged(
    index: int, true: np.ndarray, accuracy: np.ndarray, limit: float, rng: np.random.Generator
) -> dict[str, Any]:
    feasible = np.flatnonzero((true <= limit) & (true >= 0))
    rivals = rng.choice(feasible, RANDOM, replace=False)
    return {
        "architecture": nasbench201.to_string(nasbench201.from_index(index)),
        "measured_ms": true[index],
        "within": bool(true[index] <= limit),
        "accuracy": accuracy[index],
        "median_within": np.median(accuracy[feasible]),
        "best_of_random": accuracy[rivals].max(),
        "best_within": accuracy[feasible].max(),
        "regret": accuracy[feasible].max() - accuracy[index],
    }


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['device']} at most {row['limit_ms']:.2f} ms, seed {row['seed']}: measured {row['measured_ms']:.2f} ms, "
        f"{'within' if row['within'] else 'OVER'}; accuracy {100 * row['accuracy']:.2f} %, best of {RANDOM} random "
        f"{100 * row['best_of_random']:.2f} %, best within {100 * row['best_within']:.2f} %"
    )


def _write(rows: list[dict[str, Any]], out: Path) -> None:
    unfinished = out.with_name(f".{out.name}.unfinished")
    with unfinished.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    unfinished.replace(out)


def _summary(rows: list[dict[str, Any]]) -> None:
    for device in dict.fromkeys(row["device"] for row in rows):
        own = [row for row in rows if row["device"] == device]
        count = len(own)
        click.echo(
            f"{device}: within the limit {sum(row['within'] for row in own)} of {count}; above the median of what is "
            f"within {sum(row['accuracy'] > row['median_within'] for row in own)}; above the best of {RANDOM} random "
            f"{sum(row['accuracy'] > row['best_of_random'] for row in own)}; mean regret "
            f"{100 * np.mean([row['regret'] for row in own]):.2f} points"
        )


if __name__ == "__main__":
    limits()
