"""What a layer returns, once it knows what is decided: one option's value, or the weighted sum of several."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from dnas.choices.context import Decision
from dnas.errors import UserError
from dnas.types import Array, Paths

MARK = "dnas decision: "
"""What the arrays of a decision are marked with in a traced program, before its name."""


def weighted(decision: Decision, weights: Array, values: Sequence[Any]) -> Any:
    """Return the sum of `values`, pytrees of arrays of equal shapes, times their weights `(K,)`.

    Raises:
        UserError: if two options return arrays of different shapes.
    """
    check_equal(decision, values)

    def total(*leaves: Array) -> Array:
        dtype = jnp.result_type(*leaves)
        own = weights.astype(dtype if jnp.issubdtype(dtype, jnp.inexact) else jnp.float32)
        return sum((own[k] * leaf for k, leaf in enumerate(leaves)), start=jnp.zeros((), own.dtype))

    return marked(decision, jax.tree.map(total, *values))


def dense(weights: Array | Paths) -> Array:
    """Return the weights `(K,)` of all options, where those that are not computed weigh nothing."""
    if not isinstance(weights, Paths):
        return weights
    return jnp.zeros_like(weights.weights).at[weights.active].set(weights.weights[weights.active])


def scaled(weight: Array, value: Any) -> Any:
    """Return a pytree of arrays times a scalar, in the arrays' own types."""
    return jax.tree.map(lambda leaf: leaf * weight.astype(jnp.result_type(leaf)), value)


def marked(decision: Decision, value: Any) -> Any:
    """Return `value`, of which a traced program says which decision it comes from."""
    return jax.tree.map(lambda leaf: checkpoint_name(jnp.asarray(leaf), f"{MARK}{decision.name}"), value)


def check_equal(decision: Decision, values: Sequence[Any]) -> None:
    """Raise `UserError` unless all options return arrays of the same shapes."""
    first = shapes(values[0])
    for name, value in zip(decision.options[1:], values[1:], strict=True):
        if (own := shapes(value)) != first:
            raise UserError(
                f"choice {decision.name!r}: option {decision.options[0]!r} returns {first}, option {name!r} {own}: "
                f"make their shapes equal, so that they can be mixed"
            )


def shapes(value: Any) -> str:
    """Return the shapes of a pytree's arrays as text."""
    leaves, tree = jax.tree.flatten(value)
    found = [jnp.shape(leaf) for leaf in leaves]
    return str(found[0]) if len(found) == 1 else str(jax.tree.unflatten(tree, found))


def names_of(options: Sequence[Any] | Any) -> tuple[tuple[str, ...], tuple[Callable[..., Any], ...]]:
    """Return the options' names and the options: keys of a mapping, else class or function names, made unique."""
    if hasattr(options, "items"):
        pairs = [(str(name), option) for name, option in options.items()]
    else:
        pairs = [(type(option).__name__ if not _plain(option) else option.__name__, option) for option in options]
        given = [name for name, _ in pairs]
        for index, (name, option) in enumerate(pairs):
            if given.count(name) > 1 or name == "<lambda>":
                pairs[index] = (f"{name.strip('<>')}_{given[:index].count(name)}", option)
    return tuple(name for name, _ in pairs), tuple(option for _, option in pairs)


def _plain(option: Any) -> bool:
    return hasattr(option, "__name__")
