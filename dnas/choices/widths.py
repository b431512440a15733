"""What follows a chosen width: channels that a supernet holds at zero must add nothing further on.

A supernet computes the largest width and holds the channels that a smaller one leaves out at zero, where a derived
network does not have them. Both compute the same if nothing becomes of zeros: a dense layer, a convolution, ReLU, GELU,
pooling and products of two such arrays see to that by themselves. Layers that keep the width and add something of their
own, as batch norm, biases and depthwise convolutions do, are found by tracing the model with each width made smaller,
and their outputs are set back to zero; batch norm, which divides out what it is multiplied by, also weighs its output
as the layer that chooses does. Norms that mix channels cannot be helped, nor can layers whose parameters follow the
width in no clear way: they are errors. What is not a layer (`jnp.cos(x)`, `x.mean(-1)`, a softmax over channels) nobody
sees: `dnas.choices.verify` holds derived networks against the supernet.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import FlaxError

from dnas.choices.context import Decider, Decision, Verdict, decide, under
from dnas.choices.entangled import along
from dnas.choices.finding import uniform
from dnas.choices.inherit import cuts_of, flat, kept
from dnas.choices.mixing import dense, shapes
from dnas.choices.model import Model
from dnas.errors import UserError, reason
from dnas.types import PRNGKey, Stats, Variables

MIXING = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm)
NORMALISING = (nn.BatchNorm, nn.InstanceNorm)

Path = tuple[str, ...]
Call = Callable[..., Any]


class _Layer(NamedTuple):
    kind: type
    given: int | None
    returned: int | None
    holds: bool


class _Traced(NamedTuple):
    layers: dict[Path, _Layer]
    variables: dict[tuple[Any, ...], Any]
    outputs: list[str]


def followed(model: Model, decisions: Sequence[Decision], example: Any) -> Model:
    """Return the model, which holds channels at zero through layers that follow a chosen width.

    Args:
        model: the model.
        decisions: its decisions.
        example: shapes of an example input.

    Raises:
        UserError: if the model cannot be built with a smaller width, or would compute something else.
    """
    wide = [decision for decision in decisions if decision.widths]
    if not wide:
        return model
    whole = _trace(model, uniform, example)
    following: dict[Path, Decision] = {}
    for decision in wide:
        following |= dict.fromkeys(_followers(model, decision, whole, example), decision)

    def apply(variables: Variables, x: Any, train: bool, key: PRNGKey | None) -> tuple[Any, Stats]:
        with nn.intercept_methods(_holding(following)):
            return model.apply(variables, x, train, key)

    return model._replace(apply=apply)


def _followers(model: Model, decision: Decision, whole: _Traced, example: Any) -> Iterator[Path]:
    """Yield the layers with variables of their own that are as wide as the decision says."""
    largest, width = max(decision.widths), min(decision.widths)
    choice = decision.widths.index(width)
    met: list[Decision] = []

    def narrow(asked: Decision) -> Verdict:
        if asked.name != decision.name:
            return uniform(asked)
        met.append(asked)
        return choice

    with said(f"choice {decision.name!r} at width {width}"):
        own = _trace(model, narrow, example)
        if own.outputs != whole.outputs:
            raise UserError(
                f"the model returns {own.outputs[0]} instead of {whole.outputs[0]}: let a layer of fixed width end it"
            )
        for path, layer in own.layers.items():
            if issubclass(layer.kind, MIXING) and layer.given != whole.layers[path].given:
                raise UserError(
                    f"{layer.kind.__name__} {'/'.join(path)!r} would mix channels that are chosen with those that are "
                    f"not: use BatchNorm, or let a layer of fixed width come before it"
                )
        # Other decisions stay open, so that windows are whole.
        cuts = cuts_of((each._replace(windows=()) for each in met), {decision.name: choice})
        for path, leaf in own.variables.items():
            kept(path, whole.variables[path].shape, leaf.shape, cuts)
    for path, layer in own.layers.items():
        if layer.holds and (whole.layers[path].returned, layer.returned) == (largest, width):
            yield path


@contextmanager
def said(what: str) -> Iterator[None]:
    """Say of what a `UserError`, or an error of a model that cannot be built, speaks."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{what}: {error}") from error
    except (TypeError, ValueError, FlaxError) as error:
        raise UserError(
            f"{what}: the model cannot be built ({reason(error)}): let what it is joined with share the decision by "
            f"name, or a layer of fixed width follow"
        ) from error


def _trace(model: Model, decider: Decider, example: Any) -> _Traced:
    layers: dict[Path, _Layer] = {}
    outputs: list[str] = []

    def note(call: Call, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        value = call(*args, **kwargs)
        module = context.module
        if context.method_name == "__call__":
            holds = any(
                not isinstance(leaf, Mapping) for tree in module.variables.values() for leaf in dict(tree).values()
            )
            layers[module.path] = _Layer(type(module), _width(args[0] if args else None), _width(value), holds)
            if not module.path:
                outputs.append(shapes(value))
        return value

    def run(key: Any, x: Any) -> Variables:
        with nn.intercept_methods(note):
            return model.init(key, x)

    variables = jax.eval_shape(under(decider, run), jax.random.key(0), example)
    return _Traced(layers, flat(variables), outputs)


def _width(value: Any) -> int | None:
    return value.shape[-1] if getattr(value, "shape", ()) else None


def _holding(following: Mapping[Path, Decision]) -> Call:
    """Return what holds the channels at zero that a width leaves out, in the outputs of these layers."""

    def hold(call: Call, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        value = call(*args, **kwargs)
        decision = following.get(context.module.path) if context.method_name == "__call__" else None
        verdict = 0 if decision is None else decide(decision)
        if decision is None or isinstance(verdict, int):
            return value
        factor = along(decision.widths, dense(verdict).astype(jnp.float32))
        if not isinstance(context.module, NORMALISING):
            factor = factor != 0
        return value * factor.astype(value.dtype)

    return hold
