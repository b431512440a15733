"""Regression on a table: scikit-learn's diabetes data, with depth and activations open.

    python experiments/own/table.py

The loss and the metrics are those of `dnas.tasks.regression`. What is printed at the end holds the found network
against a random one that was trained in the same way.
"""

import click
import flax.linen as nn
import jax
import numpy as np
from sklearn.datasets import load_diabetes

import dnas


class Layer(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        activation = dnas.Choice({"relu": nn.relu, "gelu": nn.gelu, "tanh": nn.tanh})
        return x + nn.Dense(32)(activation(nn.Dense(64)(x)))


class Regressor(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(1)(dnas.Repeat(Layer(), times=(0, 1, 2, 3))(nn.Dense(32)(x)))


@click.command()
@click.option("--epochs", default=20, show_default=True, help="Of the search, and of each training.")
@click.option("--directory", help="Where the run is kept, so that it can go on.")
def main(epochs: int, directory: str | None) -> None:
    """Search a network for a table of numbers."""
    x, y = (np.asarray(values, np.float32) for values in load_diabetes(return_X_y=True))
    x, y = ((values - values[:360].mean(0)) / values[:360].std(0) for values in (x, y))
    space = dnas.space(Regressor(), x[:2], task=dnas.tasks.regression())
    data = dnas.data.arrays(x[:360], y[:360], test=(x[360:], y[360:]))
    found = dnas.find(space, data, epochs=epochs, batch_size=32, directory=directory, alpha_lr=0.01, weight_lr=0.01)
    click.echo(f"\n{found}")


if __name__ == "__main__":
    main()
