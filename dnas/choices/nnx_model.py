"""A Flax NNX module as a `Model`: its parameters, and its other variables as what it carries from batch to batch."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.errors import FlaxError
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.interpreters import partial_eval

from dnas.choices.context import under
from dnas.choices.finding import uniform
from dnas.choices.linen import TRAINING
from dnas.choices.model import Model, refused
from dnas.choices.nnx_open import Open
from dnas.errors import UserError, reason
from dnas.types import PRNGKey, Stats, Variables

NORMALISING = (nnx.BatchNorm, nnx.InstanceNorm)
Factory = Callable[[PRNGKey], nnx.Module]


def nnx_model(given: Any, example: Any) -> Model:
    """Return an NNX module, called as `module(x)`, as a model.

    Random numbers that the module draws in training come from the key of each call: the states of its `Rngs` are no
    part of what it carries. Variables that come about in a call, such as intermediate values, are dropped.

    Args:
        given: `(rngs) -> module`, or a module, of which every initial state has the values that it holds.
        example: shapes of what it is called with.

    Raises:
        UserError: if `given` makes no NNX module, or the module cannot take the example input.
    """
    make = _factory(given)
    try:
        outline = nnx.eval_shape(lambda: make(jax.random.key(0)))
    except (ArithmeticError, LookupError, TypeError, ValueError, FlaxError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"dnas.space: the function of rngs failed ({reason(error)}): expected one that returns an NNX module, such "
            f"as lambda rngs: Net(rngs=rngs)"
        ) from error
    for path, layer in nnx.iter_modules(outline):
        if isinstance(layer, Open) and not layer.place:
            layer.place = _names(path)
    definition, params, rngs, rest = _divided(outline)
    parameters = inspect.signature(type(outline).__call__).parameters
    flag = next((name for name in TRAINING if name in parameters), None)

    def init(key: PRNGKey, x: Any) -> Variables:
        _, own, _, others = _divided(make(key))
        return Variables(_plain(own), _plain(others))

    def run(variables: Variables, x: Any, train: bool, key: PRNGKey) -> tuple[Any, Stats]:
        module = nnx.merge(
            definition, _filled(params, variables.params), _streams(rngs, key), _filled(rest, variables.stats)
        )
        _tell_apart(module)
        _scale(module, flatten_dict(variables.params))
        (module.train if train else module.eval)()
        words: dict[str, Any] = {} if flag is None else {flag: TRAINING[flag] is train}
        if "rngs" in parameters and train:
            words["rngs"] = nnx.Rngs(key)
        outputs = module(x, **words)
        after = flatten_dict(_plain(nnx.state(module, nnx.Not(nnx.Any(nnx.Param, nnx.RngState)))))
        known = flatten_dict(variables.stats)
        return outputs, unflatten_dict({path: after.get(path, leaf) for path, leaf in known.items()})

    def apply(variables: Variables, x: Any, train: bool, key: PRNGKey | None) -> tuple[Any, Stats]:
        outputs, stats = run(variables, x, train, jax.random.key(0) if key is None else key)
        return outputs, stats if train else variables.stats

    norms = frozenset(_names(path) for path, layer in nnx.iter_modules(outline) if isinstance(layer, NORMALISING))
    return Model(type(outline).__name__, init, apply, _draws(init, run, example), norms)


def _factory(given: Any) -> Factory:
    """Return what makes the module of a key."""
    if isinstance(given, nnx.Module):
        definition, state = nnx.split(given)
        return lambda key: nnx.merge(definition, state)
    # A class of NNX says nothing of its own arguments: its metaclass takes any.
    taking = given.__init__ if isinstance(given, type) else given  # type: ignore[misc]
    by_name = "rngs" in inspect.signature(taking).parameters

    def make(key: PRNGKey) -> nnx.Module:
        rngs = nnx.Rngs(key)
        module = given(rngs=rngs) if by_name else given(rngs)
        if not isinstance(module, nnx.Module):
            raise UserError(
                f"dnas.space: expected a function of rngs that returns an NNX module, got one that returns "
                f"{type(module).__name__}: give a Flax module, or such a function"
            )
        return module

    return make


def _divided(module: nnx.Module) -> Any:
    """Return a module's definition, its parameters, the states of its random streams, and all other variables."""
    return nnx.split(module, nnx.Param, nnx.RngState, ...)


def _plain(state: Any) -> dict[str, Any]:
    """Return a state as nested mappings of arrays by the names of attributes."""
    found: dict[str, Any] = unflatten_dict({_names(path): leaf[...] for path, leaf in nnx.to_flat_state(state)})
    return found


def _filled(outline: Any, values: Any) -> Any:
    """Return a state like `outline` with these values."""
    known = flatten_dict(values)
    return nnx.from_flat_state([(path, leaf.replace(known[_names(path)])) for path, leaf in nnx.to_flat_state(outline)])


def _tell_apart(module: nnx.Module) -> None:
    """Make the module's layers with open choices unlike those of each other call."""
    turn = object()
    for _, layer in nnx.iter_modules(module):
        if isinstance(layer, Open):
            layer.turn = turn


def _scale(module: nnx.Module, params: Mapping[tuple[str, ...], Any]) -> None:
    """Give batch norms a scale that they were made without, where these parameters have one."""
    for path, layer in nnx.iter_modules(module):
        if isinstance(layer, nnx.BatchNorm) and layer.scale is None:
            scale = params.get((*_names(path), "scale"))
            layer.scale = None if scale is None else nnx.Param(scale)


def _streams(outline: Any, key: PRNGKey) -> Any:
    """Return the states of all random streams, each with a key of its own made of `key`."""
    found = []
    for index, (path, leaf) in enumerate(nnx.to_flat_state(outline)):
        fresh = jnp.zeros(leaf.shape, leaf.dtype)
        if isinstance(leaf, nnx.RngKey):
            # Layers that are stacked have a key each.
            own = jax.random.fold_in(key, index)
            fresh = jax.random.split(own, leaf.shape) if leaf.shape else own
        found.append((path, leaf.replace(fresh)))
    return nnx.from_flat_state(found)


def _names(path: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(map(str, path))


def _draws(init: Any, run: Any, example: Any) -> bool:
    """Return whether what a module computes in training depends on the key; it is traced, not run."""
    key = jax.ShapeDtypeStruct((), jax.random.key(0).dtype)
    try:
        variables = jax.eval_shape(under(uniform, init), key, example)
        traced = jax.make_jaxpr(under(uniform, lambda key, v, x: run(v, x, True, key)))(key, variables, example)
    except (ArithmeticError, LookupError, TypeError, ValueError, FlaxError) as error:
        raise refused(example, error) from error
    return bool(partial_eval.dce_jaxpr(traced.jaxpr, [True] * len(traced.jaxpr.outvars))[1][0])
