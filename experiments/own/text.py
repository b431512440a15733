"""Next-character prediction by a small Transformer whose heads, MLP ratio and depth are open.

    python experiments/own/text.py --text tinyshakespeare.txt

Any text will do. Results are in bits a character; the last tenth of the text is for the test.
"""

from typing import TextIO

import click
import flax.linen as nn
import jax
import numpy as np

import dnas

WINDOW = 32


class Block(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        heads = {f"{heads}": nn.MultiHeadDotProductAttention(heads, qkv_features=self.width) for heads in (1, 2, 4)}
        mask = nn.make_causal_mask(x[..., 0])
        x = x + dnas.Choice(heads, decision="heads")(nn.LayerNorm()(x), mask=mask)
        ratio = dnas.choices.Dense((self.width, 2 * self.width, 4 * self.width), decision="mlp_width")
        return x + nn.Dense(self.width)(nn.gelu(ratio(nn.LayerNorm()(x))))


class Transformer(nn.Module):
    tokens: int
    width: int = 32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        place = self.param("place", nn.initializers.normal(0.02), (WINDOW, self.width))
        x = nn.Embed(self.tokens, self.width)(x) + place
        x = dnas.Repeat(Block(self.width), times=(1, 2, 3), decision="depth")(x)
        return nn.Dense(self.tokens)(nn.LayerNorm()(x))


@click.command()
@click.option("--text", type=click.File(encoding="utf-8"), required=True, help="A text file.")
@click.option("--windows", default=4096, show_default=True, help="Windows of text to learn from.")
@click.option("--epochs", default=5, show_default=True, help="Of the search, and of each training.")
@click.option("--directory", help="Where the run is kept, so that it can go on.")
def main(text: TextIO, windows: int, epochs: int, directory: str | None) -> None:
    """Search a Transformer for a text."""
    letters, tokens = np.unique(list(text.read()), return_inverse=True)
    tokens = tokens[: (len(tokens) - 1) // WINDOW * WINDOW + 1].astype(np.int32)
    x, y = (part.reshape(-1, WINDOW)[: windows * 10 // 9] for part in (tokens[:-1], tokens[1:]))
    learnt = len(x) * 9 // 10
    space = dnas.space(Transformer(len(letters)), x[:2], task=dnas.tasks.next_token())
    data = dnas.data.arrays(x[:learnt], y[:learnt], test=(x[learnt:], y[learnt:]))
    found = dnas.find(space, data, epochs=epochs, directory=directory, alpha_lr=0.01, weight_lr=0.05, train_lr=3e-3)
    click.echo(f"\n{found}")


if __name__ == "__main__":
    main()
