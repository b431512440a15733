"""Is it the search or the budget, when a small supernet ranks architectures against the truth?

    python experiments/small_budget_nasbench201.py --data-dir DIR --table DIR/nb201.npz

trains random architectures of NAS-Bench-201, and the ones of skip connections and of 3x3 convolutions only, *alone*: at
the size of the supernets of experiments/methods_nasbench201.py (4 channels, 1 cell a stage), on the half of its images
that the weights of a search see, and at half their size, for so many epochs; and correlates their validation accuracy
with the table's, which is of full-size networks trained for 200 epochs on all images. No search is involved: what
differs from the truth here is the budget's doing.

Results: see README, "Which method when".
"""

from pathlib import Path

import click
import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import kendalltau

from dnas.benchmarks import nasbench201 as benchmark
from dnas.compiling import compiler_options
from dnas.data import load
from dnas.optimizers import clipped_sgd, cosine_by_epoch
from dnas.selection import random_genotype
from dnas.train import TrainState, supervised
from dnas.types import Batch, Network
from search_spaces import nasbench201

IMAGES, BATCH = 2048, 64


@click.command()
@click.option("--data-dir", help="Folder of downloaded data sets.  [default: $DNAS_DATA]")
@click.option("--table", type=click.Path(path_type=Path), required=True, help="NAS-Bench-201's accuracies.")
@click.option("--networks", default=20, show_default=True, help="Random architectures.")
@click.option("--epochs", default=60, show_default=True, help="Epochs of training.")
def small_budget(data_dir: str | None, table: Path, networks: int, epochs: int) -> None:
    """Train small networks on few images and hold their order against the table's.

    \b
    Example:
      python experiments/small_budget_nasbench201.py --table nb201.npz --networks 10
    """
    true = benchmark.load(table).scores("cifar10")
    train, valid = _images(data_dir)
    space = nasbench201.space(classes=10, channels=4, cells=1)
    rng = np.random.default_rng(0)
    plain = [f"|{op}~0|+|{op}~0|{op}~1|+|{op}~0|{op}~1|{op}~2|" for op in ("skip_connect", "nor_conv_3x3")]
    genotypes = [nasbench201.from_string(name) for name in plain]
    while len(genotypes) < networks + len(plain):
        drawn = random_genotype(space, rng)
        if nasbench201.connected(drawn):
            genotypes.append(drawn)
    own, rows = [], []
    for genotype in genotypes:
        row = nasbench201.index(genotype)
        own.append(_trained(space.build(genotype, searched=True), train, valid, epochs))
        rows.append(row)
        click.echo(f"{nasbench201.to_string(genotype)}: {100 * own[-1]:.2f} %, true {100 * true[row]:.2f} %")
    tau = kendalltau(own[len(plain) :], true[rows[len(plain) :]]).statistic
    click.echo(f"Kendall's tau with the truth, {networks} random architectures, {epochs} epochs alone: {tau:.2f}")


def _images(data_dir: str | None) -> tuple[Batch, Batch]:
    whole = load("cifar10", data_dir)

    def part(first: int) -> Batch:
        x = whole.x_train[first : first + IMAGES].reshape(IMAGES, 16, 2, 16, 2, 3).mean((2, 4), dtype=np.float32) / 255
        x = (x - np.asarray(whole.mean)) / np.asarray(whole.std)
        return Batch(jnp.asarray(x, jnp.float32), jnp.asarray(whole.y_train[first : first + IMAGES]))

    return part(0), part(IMAGES)


def _trained(network: Network, train: Batch, valid: Batch, epochs: int) -> float:
    """Return the validation accuracy of a network after its training."""
    steps = IMAGES // BATCH
    rate = cosine_by_epoch(0.025, 0.001, epochs, steps)
    training = supervised(network, clipped_sgd(rate, 0.9, 5e-4, 5.0, True))

    def whole(key: jax.Array) -> jax.Array:
        key_init, key_order = jax.random.split(key)

        def epoch(state: TrainState, key: jax.Array) -> tuple[TrainState, None]:
            order = jax.random.permutation(key, IMAGES).reshape(steps, BATCH)

            def step(state: TrainState, chosen: jax.Array) -> tuple[TrainState, None]:
                return training.step(state, Batch(train.x[chosen], train.y[chosen]))[0], None

            return jax.lax.scan(step, state, order)

        state, _ = jax.lax.scan(epoch, training.init(key_init, train.x[:2]), jax.random.split(key_order, epochs))
        return jnp.mean(jnp.argmax(training.predict(state, valid.x), axis=-1) == valid.y)

    return float(jax.jit(whole, compiler_options=compiler_options())(jax.random.key(0)))


if __name__ == "__main__":
    small_budget()
