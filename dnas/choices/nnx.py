"""Layers with open choices for Flax NNX modules; in name and meaning those of `dnas.choices` for Linen modules."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from dnas.choices.choice import call
from dnas.choices.context import decide
from dnas.choices.input_choice import some_of
from dnas.choices.mixing import marked, names_of, scaled, weighted
from dnas.choices.nnx_layers import Conv, Linear
from dnas.choices.nnx_open import Open
from dnas.choices.repeat import check_times, repeated
from dnas.types import Array, Paths

__all__ = ["Choice", "Conv", "InputChoice", "Linear", "Open", "Repeat"]


class Choice(Open):
    """One of several modules or functions, which of them is searched for.

    self.conv = Choice({"3x3": nnx.Conv(8, 8, (3, 3), rngs=rngs), "skip": lambda x: x})

    Args:
        options: modules or functions by name, or a sequence of them, named after their classes. They return arrays of
            equal shapes.
        decision: as in `Open`.
    """

    def __init__(
        self, options: Mapping[str, Callable[..., Any]] | Sequence[Callable[..., Any]], decision: str | None = None
    ) -> None:
        super().__init__(decision)
        names, values = names_of(options)
        self.order = names
        self.options = nnx.Dict(dict(zip(names, values, strict=True)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the options to the arguments; keyword arguments go to those options that take them."""
        own = self.own(self.order)
        verdict = decide(own)
        if isinstance(verdict, int):
            return call(self.options[self.order[verdict]], args, kwargs)
        if isinstance(verdict, Paths):
            return marked(own, self._paths(verdict, args, kwargs))
        return weighted(own, verdict, [call(self.options[name], args, kwargs) for name in self.order])

    def _paths(self, verdict: Paths, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the weighted sum of the active options, of which nothing else is computed."""

        def branch(name: str) -> Callable[..., Any]:
            def run(layer: "Choice", weight: Array, args: tuple[Any, ...]) -> Any:
                return scaled(weight, call(layer.options[name], args, kwargs))

            return run

        branches = [branch(name) for name in self.order]
        total = None
        for path in range(verdict.active.shape[0]):
            column = verdict.active[path]
            value = nnx.switch(column, branches, self, verdict.weights[column], args)
            total = value if total is None else jax.tree.map(jnp.add, total, value)
        return total


class InputChoice(Open):
    """The sum of `k` of several inputs, which of them is searched for; as `dnas.InputChoice`.

    Args:
        k: how many inputs are kept.
        decision: as in `Open`.
        names: of the inputs; `None` numbers them.
    """

    def __init__(self, k: int = 1, decision: str | None = None, names: tuple[str, ...] | None = None) -> None:
        super().__init__(decision)
        self.k = k
        self.names = names

    def __call__(self, inputs: Sequence[Any]) -> Any:
        """Return the sum of the chosen inputs, arrays or pytrees of equal shapes.

        Raises:
            UserError: if `k` of so many inputs cannot be chosen, or their shapes differ.
        """
        return some_of(inputs, self.k, self.names, self.own)


class Repeat(Open):
    """A block, one after the other of its copies; how many is searched for; as `dnas.Repeat`.

    self.body = Repeat(lambda rngs: Block(64, rngs=rngs), times=(1, 2, 4), rngs=rngs)

    Args:
        block: `(rngs) -> module` or function, called once for each repetition.
        times: the depths that may be chosen, increasing; 0 leaves the block out.
        rngs: what the blocks are made with.
        decision: as in `Open`.

    Raises:
        UserError: if the depths do not increase from 0 or more.
    """

    def __init__(
        self,
        block: Callable[[nnx.Rngs], Callable[..., Any]],
        times: tuple[int, ...],
        rngs: nnx.Rngs,
        decision: str | None = None,
    ) -> None:
        super().__init__(decision)
        self.times = tuple(times)
        check_times(self.times)
        self.blocks = nnx.List([block(rngs) for _ in range(self.times[-1])])

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Apply the repetitions to `x`; further arguments go to each.

        Raises:
            UserError: if the block changes the shape.
        """
        return repeated(x, self.times, lambda number: lambda x: self.blocks[number](x, *args, **kwargs), self.own)
