"""The language model around the recurrent cell: embedding, the cell over a window of text, tied decoder.

As in the DARTS code (quark0/darts at f276dd3, `rnn/model.py`): one matrix embeds tokens and decodes states, so that an
embedding is as wide as the state; weights are drawn uniformly from -0.04..0.04 and the decoder's bias begins at 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from dnas.errors import UserError
from dnas.types import Array, PRNGKey, Stats, Variables, Workload
from search_spaces.rnn.cell import CellParams, Choice, Norm, step
from search_spaces.rnn.streams import HIDDEN, STREAMS, read, write

RANGE = 0.04


class Dropout(NamedTuple):
    """Rates of variational dropout: each mask is drawn once a window and holds for all of its time steps.

    Attributes:
        output: of the cell's outputs before the decoder.
        hidden: of the states before each product in the cell.
        inputs: of the embeddings that enter the cell.
        embedding: of the embeddings, before.
        words: of whole tokens of the vocabulary.
    """

    output: float = 0.0
    hidden: float = 0.0
    inputs: float = 0.0
    embedding: float = 0.0
    words: float = 0.0


class Masks(NamedTuple):
    """What values are multiplied with: 0 or 1 / (1 - rate), or 1 where nothing is dropped."""

    output: Array | float = 1.0
    hidden: Array | float = 1.0
    inputs: Array | float = 1.0
    embedding: Array | float = 1.0
    words: Array | float = 1.0


@dataclass(frozen=True)
class Model:
    """Sizes of a language model, and its functions for any choice of the cell.

    Attributes:
        classes: size V of the vocabulary.
        units: width of embeddings and states.
        nodes: nodes of the cell.
        norm: whether each state is followed by batch norm without scale and bias.
        dtype: type of the computation; parameters and statistics are float32.
    """

    classes: int
    units: int
    nodes: int
    norm: bool
    dtype: DTypeLike = jnp.float32

    def init(self, key: PRNGKey, x: Array) -> Variables:
        """Return variables for windows like `x` (B, T), of which only the shape is used."""
        check_shape(x.shape[1:])
        shapes = {
            "embedding": (self.classes, self.units),
            "first": (2 * self.units, 2 * self.units),
            "nodes": (self.nodes, self.units, 2 * self.units),
        }
        params = {
            name: jax.random.uniform(own, shape, minval=-RANGE, maxval=RANGE)
            for own, (name, shape) in zip(jax.random.split(key, len(shapes)), shapes.items(), strict=True)
        }
        stats: dict[str, Any] = {HIDDEN: jnp.zeros((STREAMS, x.shape[0], self.units))}
        if self.norm:
            rows = (1 + self.nodes, self.units)
            stats["norm"] = {"mean": jnp.zeros(rows), "var": jnp.ones(rows)}
        return Variables({**params, "bias": jnp.zeros(self.classes)}, stats)

    def run(
        self, choice: Choice, concat: Sequence[int], variables: Variables, x: Array, *, train: bool, masks: Masks
    ) -> tuple[Array, Stats]:
        """Read one window.

        Args:
            choice: what each node of the cell computes.
            concat: the states whose mean is a time step's output.
            variables: weights, hidden states and running statistics.
            x: `(B, T)` int32 tokens, marked with their stream.
            train: whether batch norm uses the minibatch's statistics and moves the running ones.
            masks: of dropout.

        Returns:
            `(B, T, V)` float32 logits of the next tokens, and new statistics. The hidden state goes on in both modes.
        """
        params = jax.tree.map(lambda leaf: leaf.astype(self.dtype), variables.params)
        stats = variables.stats
        tokens, hidden = read(stats, x, self.classes)
        embedded = (params["embedding"] * masks.words)[tokens] * masks.embedding * masks.inputs
        first = params["first"]
        own = CellParams(first[self.units :], params["nodes"])

        def turn(carry: tuple[Array, Norm | None], inputs: Array) -> tuple[tuple[Array, Norm | None], Array]:
            hidden, norm = step(choice, concat, own, inputs, *carry, mask=masks.hidden, train=train)
            return (hidden, norm), hidden

        norm = Norm(**stats["norm"]) if self.norm else None
        # One product for all time steps, instead of one in each.
        inputs = jnp.swapaxes(embedded @ first[: self.units], 0, 1)
        (hidden, norm), outputs = lax.scan(turn, (hidden.astype(self.dtype), norm), inputs)
        outputs = jnp.swapaxes(outputs, 0, 1) * masks.output
        logits = outputs.astype(jnp.float32) @ variables.params["embedding"].T + variables.params["bias"]
        after = {HIDDEN: write(stats, x, self.classes, hidden)}
        return logits, after if norm is None else {**after, "norm": norm._asdict()}

    def masks(self, key: PRNGKey | None, columns: int, rates: Dropout) -> Masks:
        """Draw the masks of one window; `UserError` if there is something to drop and no key."""
        if not any(rates):
            return Masks()
        if key is None:
            raise UserError("training with dropout draws random masks: give apply a key, or set all dropout rates to 0")
        wide, long = (columns, 1, self.units), (self.classes, 1)
        shapes = Dropout(wide, (columns, self.units), wide, wide, long)  # type: ignore[arg-type]
        keys = jax.random.split(key, len(rates))
        return Masks(*(self._mask(*own) for own in zip(keys, rates, shapes, strict=True)))

    def _mask(self, key: PRNGKey, rate: float, shape: Any) -> Array | float:
        if rate == 0:
            return 1.0
        return jax.random.bernoulli(key, 1 - rate, shape).astype(self.dtype) / (1 - rate)

    def workload(self, shape: tuple[int, ...]) -> Workload:
        """Return parameters, and multiply-adds of a window of `shape` (T,): products only, one for each node.

        With N nodes, U units and V tokens there are U V + V + 4 U^2 + 2 N U^2 parameters.
        """
        check_shape(shape)
        products = self.units * (4 + 2 * self.nodes) * self.units
        return Workload(self.classes * (self.units + 1) + products, shape[0] * (products + self.units * self.classes))


def check_shape(shape: tuple[int, ...]) -> None:
    """Raise `UserError` unless an input without its first axis has `shape` (T,), as windows of text have."""
    if len(shape) != 1 or shape[0] < 1:
        raise UserError(
            f"the space rnn reads text as windows of shape (tokens,), but the data have shape {tuple(shape)}: search "
            f"on text with experiments/rnn_text.py, or choose another --space for images"
        )
