"""Image classification by a network of your own: widths and windows of its convolutions, and its depth, are open.

python experiments/own/images.py
dnas search --space images:digits --data digits     # the same in the folder of this file, from the command line
"""

import click
import flax.linen as nn
import jax
import numpy as np

import dnas


class Block(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        y = dnas.choices.Conv(features=(8, 16, 32), kernel_size=((3, 3), (5, 5)))(x)
        y = nn.relu(nn.BatchNorm(use_running_average=not train)(y))
        return x + nn.Conv(16, (1, 1))(y)


class Network(nn.Module):
    classes: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = nn.Conv(16, (3, 3))(x)
        x = dnas.Repeat(Block(), times=(1, 2, 3))(x, train)
        pool = {"max": lambda x: x.max((1, 2)), "mean": lambda x: x.mean((1, 2))}
        return nn.Dense(self.classes)(dnas.Choice(pool)(x))


def digits(classes: int = 10) -> dnas.SearchSpace:
    return dnas.space(Network(classes), np.zeros((2, 8, 8, 1), np.float32))


@click.command()
@click.option("--epochs", default=10, show_default=True, help="Of the search, and of each training.")
@click.option("--directory", help="Where the run is kept, so that it can go on.")
def main(epochs: int, directory: str | None) -> None:
    """Search a network for the digits of scikit-learn."""
    own = dnas.data.load("digits")
    x, test = (images.astype(np.float32) / 255 for images in (own.x_train, own.x_test))
    data = dnas.data.arrays(x, own.y_train, test=(test, own.y_test))
    found = dnas.find(digits(), data, epochs=epochs, directory=directory, alpha_lr=0.01)
    click.echo(f"\n{found}")


if __name__ == "__main__":
    main()
