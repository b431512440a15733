"""A choice of one of several modules or functions."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dnas.choices.context import decide
from dnas.choices.mixing import marked, names_of, scaled, weighted
from dnas.choices.naming import decision_of
from dnas.types import Paths


class Choice(nn.Module):
    """One of several modules or functions, which of them is searched for.

    In a search all options, or those that a relaxation samples, are computed and mixed by their weights; in a derived
    network only the chosen one exists. Outside of both the first option runs, so that a model with open choices is, by
    itself, the model of its first options.

        x = Choice({"3x3": nn.Conv(32, (3, 3)), "5x5": nn.Conv(32, (5, 5)), "skip": lambda x: x})(x)

    Attributes:
        options: modules or functions by name, or a sequence of them, named after their classes. They return arrays of
            equal shapes.
        decision: the name under which layers share one decision; `None` decides for this place in the model alone.
        order: names of the options as they were given; filled in where it is left out.
    """

    options: Mapping[str, Callable[..., Any]] | Sequence[Callable[..., Any]]
    decision: str | None = None
    order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Flax hands a mapping on in the order of its keys; which option is the first must survive that.
        if not self.order:
            self.order = names_of(self.options)[0]
        super().__post_init__()

    @nn.compact
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the options to the arguments; keyword arguments go to those options that take them."""
        own = decision_of(self, self.decision, self.order)
        options = self._by_name()
        verdict = decide(own)
        if isinstance(verdict, int):
            return call(options[self.order[verdict]], args, kwargs)
        if isinstance(verdict, Paths) and not self.is_initializing():
            return marked(own, self._paths(verdict, args, kwargs))
        weights = verdict.weights if isinstance(verdict, Paths) else verdict
        return weighted(own, weights, [call(options[name], args, kwargs) for name in self.order])

    def _by_name(self) -> dict[str, Callable[..., Any]]:
        return dict(zip(*names_of(self.options), strict=True))

    def _paths(self, verdict: Paths, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the weighted sum of the active options, of which nothing else is computed."""

        def branch(name: str) -> Callable[..., Any]:
            def run(layer: "Choice", weight: Any, args: tuple[Any, ...]) -> Any:
                return scaled(weight, call(layer._by_name()[name], args, kwargs))

            return run

        branches = [branch(name) for name in self.order]
        total = None
        for path in range(verdict.active.shape[0]):
            column = verdict.active[path]
            value = nn.switch(column, branches, self, verdict.weights[column], args)
            total = value if total is None else jax.tree.map(jnp.add, total, value)
        return total


def call(option: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Apply an option to the arguments, of the keyword arguments to those that it takes."""
    return option(*args, **{name: value for name, value in kwargs.items() if _takes(option, name)})


def _takes(option: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(option).parameters
    except (TypeError, ValueError):
        return False
    own = parameters.get(name)
    if own is not None:
        return own.kind is not inspect.Parameter.POSITIONAL_ONLY
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
